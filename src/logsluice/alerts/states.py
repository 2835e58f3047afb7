"""One alert's life: it opens, stays one alert while it lasts, and resolves. Pure functions of what is seen.

A rule sees in each minute, for each service, either something (a :class:`Sighting`) or nothing. ``hold`` sightings in a
row open an alert, at the first of them; ``resolve_after`` minutes in a row without one resolve it. In between, minutes
of either sort change nothing, which is what keeps an alert from flapping.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

Transition = Literal["opened", "resolved"]


class Key(NamedTuple):
    """What there can be one alert for at a time.

    Attributes:
        rule: The rule's name.
        service: The service's; ``*`` for all of them together.
        error_type: For a new class of error, the class.
    """

    rule: str
    service: str
    error_type: str | None = None


class Sighting(NamedTuple):
    """What a rule saw in a minute.

    Attributes:
        value: What was found.
        threshold: What it is beyond.
        text: In words that name service, number and threshold.
    """

    value: float
    threshold: float
    text: str


@dataclass(frozen=True, slots=True)
class Episode:
    """What one alert is about.

    Attributes:
        opened: First minute of the sightings that opened it.
        last: Minute of the latest sighting.
        sighting: That sighting.
        resolved: The first minute of the quiet that resolved it; ``None`` while it is open.
    """

    opened: int
    last: int
    sighting: Sighting
    resolved: int | None = None


@dataclass(frozen=True, slots=True)
class State:
    """Where a key stands after a minute.

    Attributes:
        seen: Sightings in a row, while nothing is open.
        quiet: Minutes in a row without a sighting, while something is open.
        open: What is open.
    """

    seen: int = 0
    quiet: int = 0
    open: Episode | None = None


QUIET = State()
"""Where everything begins."""


def advance(
    state: State, minute: int, sighting: Sighting | None, *, hold: int, resolve_after: int
) -> tuple[State, Transition | None, Episode | None]:
    """What one more minute brings.

    Args:
        state: After the minute before.
        minute: The minute; none may be left out.
        sighting: What was seen in it.
        hold: Sightings in a row that open an alert.
        resolve_after: Minutes in a row without one that resolve it.

    Returns:
        The new state; ``opened`` or ``resolved`` where that happened; and the alert that this minute changed.
    """
    if state.open is None:
        if sighting is None:
            return QUIET, None, None
        if state.seen + 1 < hold:
            return State(seen=state.seen + 1), None, None
        episode = Episode(minute - hold + 1, minute, sighting)
        return State(open=episode), "opened", episode
    if sighting is not None:
        episode = replace(state.open, last=minute, sighting=sighting)
        return State(open=episode), None, episode
    if state.quiet + 1 < resolve_after:
        return replace(state, quiet=state.quiet + 1), None, None
    return QUIET, "resolved", replace(state.open, resolved=state.open.last + 1)
