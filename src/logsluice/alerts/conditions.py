"""What a rule sees in a minute: pure functions of the windows, the past and the classes of errors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from logsluice.alerts.baseline import History, Usual, cumulative, deviation, number_of
from logsluice.alerts.error_classes import ErrorClasses
from logsluice.alerts.rules import Metric, NewError, Pipeline, Refunds, Rule, Silence, Unusual
from logsluice.alerts.states import Key, Sighting
from logsluice.alerts.thresholds import breach_of
from logsluice.alerts.window_table import Board
from logsluice.alerts.windows import Window

EVERY_SERVICE: Final = "*"
DRIFT_MINUTES: Final = 60
"""Windows over which small differences add up."""
DAY_MINUTES: Final = 1_440
CONTEXT_MINUTES: Final = 2 * DAY_MINUTES
"""So far back from the minute that is judged the board must reach."""
LATE_MINUTES: Final = 5
"""What is extracted may come to the results index so much later than windows."""

_STILL_MINUTES: Final = 5
_CAP_DEVIATIONS: Final = 4.0
_PRESENT: Final = 0.2
_SPEAKS: Final = 0.1
_SILENCES: Final = 1.5
_ANSCOMBE: Final = 3 / 8


@dataclass
class Snapshot:
    """Everything that rules look at.

    Attributes:
        board: Windows, back to :data:`CONTEXT_MINUTES` before what is judged.
        history: Hours of the past.
        classes: Classes of errors.
    """

    board: Board
    history: History = field(default_factory=History)
    classes: ErrorClasses = field(default_factory=ErrorClasses)


def detect(rule: Rule, snapshot: Snapshot, minute: int) -> dict[Key, Sighting]:
    """What a rule sees in a minute.

    Args:
        rule: Any rule.
        snapshot: What there is to look at.
        minute: Minutes since the epoch; its windows are all there.
    """
    if isinstance(rule, Unusual):
        return dict(_unusual(rule, snapshot, minute))
    if isinstance(rule, NewError):
        return dict(_new_errors(rule, snapshot, minute))
    if isinstance(rule, Silence):
        return dict(_silences(rule, snapshot, minute))
    if isinstance(rule, Refunds):
        return dict(_refunds(rule, snapshot, minute))
    if isinstance(rule, Pipeline):
        return dict(_pipeline(rule, snapshot, minute))
    return {
        Key(rule.name, window.service): Sighting(breach.value, breach.threshold, breach.text)
        for window in snapshot.board.at(minute)
        if window.service in rule.services and (breach := breach_of(rule, window))
    }


def _unusual(rule: Unusual, snapshot: Snapshot, minute: int) -> Iterator[tuple[Key, Sighting]]:
    for window in snapshot.board.at(minute):
        if window.service not in rule.services:
            continue
        number = number_of(window, rule.metric)
        usual = snapshot.history.usual(window.service, rule.metric, minute, rule.history)
        if number is None or usual is None:
            continue
        for sign in _SIGNS[rule.direction]:
            sighting = _far_off(rule, window, number, usual, sign) or _drifting(
                rule, snapshot, window, number, usual, sign
            )
            if sighting:
                yield Key(rule.name, window.service), sighting
                break


_SIGNS: Final = {"high": (1,), "low": (-1,), "both": (1, -1)}


def _far_off(rule: Unusual, window: Window, number: float, usual: Usual, sign: int) -> Sighting | None:
    away = sign * deviation(rule.metric, number, usual)
    if away <= rule.deviations or not _matters(rule, number, usual.center, sign):
        return None
    how = "far above" if sign > 0 else "far below"
    return _told(rule, window, number, usual, _at(rule.metric, usual, sign * rule.deviations), away, how)


def _drifting(
    rule: Unusual, snapshot: Snapshot, window: Window, number: float, usual: Usual, sign: int
) -> Sighting | None:
    """Small differences in one direction that add up, and still go on."""
    if sign * deviation(rule.metric, number, usual) <= 0:
        return None
    windows = snapshot.board.between(window.service, window.minute - DRIFT_MINUTES, window.minute)
    latest = _differences(rule, snapshot, windows[-_STILL_MINUTES:])
    if len(latest) < _STILL_MINUTES:
        return None
    mean = sign * sum(each.away for each in latest) / len(latest)
    level, center = (sum(each[place] for each in latest) / len(latest) for place in (0, 1))
    if mean <= rule.drift or not _matters(rule, level, center, sign):
        return None
    away = [sign * each.away for each in _differences(rule, snapshot, windows)]
    if cumulative(away, rule.drift, _CAP_DEVIATIONS) <= rule.drift_limit:
        return None
    how = "for a while above" if sign > 0 else "for a while below"
    return _told(rule, window, number, usual, _at(rule.metric, usual, sign * rule.drift), mean, how)


class _Difference(NamedTuple):
    number: float
    center: float
    away: float


def _differences(rule: Unusual, snapshot: Snapshot, windows: Sequence[Window]) -> list[_Difference]:
    """How far each window was from what was usual then."""
    found = []
    for window in windows:
        number = number_of(window, rule.metric)
        usual = snapshot.history.usual(window.service, rule.metric, window.minute, rule.history)
        if number is not None and usual is not None:
            found.append(_Difference(number, usual.center, deviation(rule.metric, number, usual)))
    return found


def _matters(rule: Unusual, number: float, center: float, sign: int) -> bool:
    """Whether a difference is large enough for anybody to care, however sure it is."""
    change = sign * (number - center)
    least = rule.min_count if rule.metric in ("events", "errors") else 0.0
    relative = rule.min_change * (center if sign > 0 or rule.metric in ("events", "errors") else number)
    return change > max(relative, least)


def _at(metric: Metric, usual: Usual, away: float) -> float:
    """The number that is so many standard deviations from the usual."""
    if metric in ("p50", "p95"):
        return usual.center * math.exp(away * usual.spread / usual.center)
    return max(0.0, usual.center + away * usual.spread)


def _told(rule: Unusual, window: Window, number: float, usual: Usual, limit: float, away: float, how: str) -> Sighting:
    text = rule.words(
        {
            "service": window.service,
            "value": number,
            "threshold": limit,
            "minutes": 1,
            "metric": _NAMES[rule.metric],
            "usual": usual.center,
            "deviations": away,
            "how": how,
            "shown": _shown(rule.metric, number),
            "shown_usual": _shown(rule.metric, usual.center),
            "shown_threshold": _shown(rule.metric, limit),
        }
    )
    return Sighting(number, limit, text)


_NAMES: Final[dict[Metric, str]] = {
    "events": "events a minute",
    "errors": "errors a minute",
    "error_rate": "error rate",
    "p50": "median of durations",
    "p95": "95th percentile of durations",
}


def _shown(metric: Metric, number: float) -> str:
    if metric in ("p50", "p95"):
        return f"{number / 1e6:.0f} ms"
    return f"{number:.1%}" if metric == "error_rate" else f"{number:.0f}"


def _new_errors(rule: NewError, snapshot: Snapshot, minute: int) -> Iterator[tuple[Key, Sighting]]:
    classes = snapshot.classes
    for service, error_type, first in classes.recent(minute, rule.fresh):
        if service not in rule.services or _known_for(service, snapshot, first) < rule.min_history:
            continue
        if not classes.events(service, error_type, minute - LATE_MINUTES, minute):
            continue
        events = classes.events(service, error_type, first - 1, minute)
        text = rule.words(
            {
                "service": service,
                "value": events,
                "threshold": 0,
                "minutes": minute - first + 1,
                "error_type": error_type,
            }
        )
        yield Key(rule.name, service, error_type), Sighting(events, 0, text)


def _known_for(service: str, snapshot: Snapshot, minute: int) -> int:
    """For how many minutes a service was known before a minute."""
    known = (snapshot.board.first_spoken(service), snapshot.history.known_since(service))
    return minute - min((since for since in known if since is not None), default=minute)


def _silences(rule: Silence, snapshot: Snapshot, minute: int) -> Iterator[tuple[Key, Sighting]]:
    board = snapshot.board
    for service in board.services:
        last = board.last_spoken(service, minute)
        if service not in rule.services or last is None or minute - last > rule.forget_after:
            continue
        silent = board.alive(last, minute)
        if silent < rule.min_silence:
            continue
        presence = _presence(rule, board, service, last)
        if presence < _SPEAKS:
            # What spoke for a few minutes, such as a job that ran once, is not expected to speak.
            continue
        limit = _longest_usual_silence(rule, board, service, last, presence)
        usually_there = snapshot.history.presence(service, minute, 28 * DAY_MINUTES)
        if silent < limit or (usually_there is not None and usually_there < _PRESENT):
            continue
        text = rule.words({"service": service, "value": silent, "threshold": limit, "minutes": minute - last})
        yield Key(rule.name, service), Sighting(silent, limit, text)


def _presence(rule: Silence, board: Board, service: str, last: int) -> float:
    """The share of windows that a service had before it became silent; below 1, however sure it looks."""
    spoken = len(board.spoken(service, last - rule.presence, last))
    return spoken / (board.alive(last - rule.presence, last) + 1)


def _longest_usual_silence(rule: Silence, board: Board, service: str, last: int, presence: float) -> int:
    """So many silent windows are no chance, and longer than what the service often does."""
    by_chance = math.ceil(math.log(rule.false_alarm) / math.log1p(-presence))
    minutes = board.spoken(service, last - DAY_MINUTES, last)
    silences = sorted(
        (board.alive(one, other) - 1 for one, other in pairwise(minutes) if other - one > 1),
        reverse=True,
    )
    # The longest may have been an outage; what comes at least twice a day is the service's way.
    often = math.ceil(_SILENCES * silences[1]) if len(silences) > 1 else 0
    return max(rule.min_silence, by_chance, often)


def _refunds(rule: Refunds, snapshot: Snapshot, minute: int) -> Iterator[tuple[Key, Sighting]]:
    for window in snapshot.board.at(minute):
        service = window.service
        if service not in rule.services:
            continue
        windows = snapshot.board.between(service, minute - rule.span, minute)
        refunds = sum(each.refunds for each in windows)
        if refunds <= rule.min_refunds:
            continue
        payments = sum(each.payments for each in windows)
        known = snapshot.history.refund_share(service, minute, rule.history)
        share = rule.share if known is None else known
        limit = max(rule.min_refunds, _out_of_proportion(share * payments, rule))
        if refunds <= limit:
            continue
        text = rule.words(
            {
                "service": service,
                "value": refunds,
                "threshold": limit,
                "minutes": rule.span,
                "payments": payments,
                "refunds": refunds,
                "usual": share,
            }
        )
        yield Key(rule.name, service), Sighting(refunds, limit, text)


def _out_of_proportion(expected: float, rule: Refunds) -> float:
    """The count beyond which refunds are neither a multiple of the expected nor chance.

    Twice the square root of a count has a standard deviation of 1 (Anscombe, "The transformation of Poisson,
    binomial and negative-binomial data", 1948).
    """
    by_chance = (math.sqrt(expected + _ANSCOMBE) + rule.deviations / 2) ** 2 - _ANSCOMBE
    return max(rule.factor * expected, by_chance)


def _pipeline(rule: Pipeline, snapshot: Snapshot, minute: int) -> Iterator[tuple[Key, Sighting]]:
    last = snapshot.board.last_alive(minute)
    if last is None or minute - last < rule.threshold:
        return
    behind = minute - last
    text = rule.words({"service": EVERY_SERVICE, "value": behind, "threshold": rule.threshold, "minutes": behind})
    yield Key(rule.name, EVERY_SERVICE), Sighting(behind, rule.threshold, text)
