"""State machine of one alert: it opens, stays one alert while it lasts, and resolves. Pure functions.

A rule detects in each minute, for each service, either something (a :class:`Detection`) or nothing. ``hold`` detections
in a row open an alert, at the first of them; ``resolve_after`` minutes in a row without one resolve it. In between,
minutes of either sort change nothing, which is what keeps an alert from flapping.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

Transition = Literal["opened", "resolved"]


class Key(NamedTuple):
    """What there can be one alert for at a time; the service is ``*`` for all of them together."""

    rule: str
    service: str
    error_type: str | None = None


class Detection(NamedTuple):
    """What a rule detected in a minute: what was found, what it is beyond, and both in words that name the service."""

    value: float
    threshold: float
    text: str


@dataclass(frozen=True, slots=True)
class Episode:
    """What one alert is about.

    Attributes:
        opened: First minute of the detections that opened it.
        last: Minute of the latest detection.
        resolved: The first minute of the quiet that resolved it; ``None`` while it is open.
    """

    opened: int
    last: int
    detection: Detection
    resolved: int | None = None


@dataclass(frozen=True, slots=True)
class State:
    """Where a key stands after a minute.

    While nothing is open: how many detections in a row were seen, and the minute of the first; else what is open, and
    the minutes in a row without a detection.
    """

    detections: int = 0
    first: int = 0
    quiet: int = 0
    open: Episode | None = None


QUIET = State()
"""Where everything begins."""


def advance(
    state: State, minute: int, detection: Detection | None, *, hold: int, resolve_after: int
) -> tuple[State, Transition | None, Episode | None]:
    """The next state, after one more minute.

    Args:
        minute: The minute, later than any before. Minutes that no window covers are left out: they
            count neither way.

    Returns:
        The new state; ``opened`` or ``resolved`` where that happened; and the alert that this minute changed.
    """
    if state.open is None:
        if detection is None:
            return QUIET, None, None
        first = state.first if state.detections else minute
        if state.detections + 1 < hold:
            return State(detections=state.detections + 1, first=first), None, None
        episode = Episode(first, minute, detection)
        return State(open=episode), "opened", episode
    if detection is not None:
        episode = replace(state.open, last=minute, detection=detection)
        return State(open=episode), None, episode
    if state.quiet + 1 < resolve_after:
        return replace(state, quiet=state.quiet + 1), None, None
    return QUIET, "resolved", replace(state.open, resolved=state.open.last + 1)
