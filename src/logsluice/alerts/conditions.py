"""The condition of each kind of rule: pure functions from the windows, the past and the classes of errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, NamedTuple

from logsluice.alerts.baseline import Baseline, History, cusum, metric_value, z_score
from logsluice.alerts.error_classes import ErrorClasses
from logsluice.alerts.rules import Metric, NewError, Pipeline, Refunds, Rule, Silence, Unusual
from logsluice.alerts.states import Detection, Key
from logsluice.alerts.thresholds import detect_breach, detection
from logsluice.alerts.windows import Window, WindowTable

EVERY_SERVICE: Final = "*"
DRIFT_MINUTES: Final = 60
"""Windows over which small differences add up."""
DAY_MINUTES: Final = 1_440
CONTEXT_MINUTES: Final = 2 * DAY_MINUTES
"""So far back from the minute that is evaluated the windows must reach."""
LATE_MINUTES: Final = 5
"""What is extracted may come to the results index so much later than windows."""

_RECENT_MINUTES: Final = 5
_CUSUM_CAP: Final = 4.0
_EXPECTED_PRESENCE: Final = 0.2
_LEAST_PRESENCE: Final = 0.1
_SILENCE_FACTOR: Final = 1.5
_ANSCOMBE: Final = 3 / 8


@dataclass
class Snapshot:
    """The data that rules are evaluated on: windows, back to :data:`CONTEXT_MINUTES` before, and the past."""

    windows: WindowTable
    history: History = field(default_factory=History)
    classes: ErrorClasses = field(default_factory=ErrorClasses)


def detect(rule: Rule, snapshot: Snapshot, minute: int) -> dict[Key, Detection]:
    """What a rule detects in a minute (since the epoch) whose windows are all there, by key."""
    return dict(_CONDITIONS.get(type(rule), _breaches)(rule, snapshot, minute))


def _breaches(rule: Rule, snapshot: Snapshot, minute: int) -> Iterator[tuple[Key, Detection]]:
    for window in _windows(rule, snapshot, minute):
        if found := detect_breach(rule, window):
            yield Key(rule.name, window.service), found


def _windows(rule: Rule, snapshot: Snapshot, minute: int) -> list[Window]:
    return [window for window in snapshot.windows.at(minute) if window.service in rule.services]


def _unusual(rule: Unusual, snapshot: Snapshot, minute: int) -> Iterator[tuple[Key, Detection]]:
    for window in _windows(rule, snapshot, minute):
        number = metric_value(window, rule.metric)
        baseline = snapshot.history.baseline(window.service, rule.metric, minute, rule.history)
        if number is None or baseline is None:
            continue
        for sign in _SIGNS[rule.direction]:
            found = _outlier(rule, window, number, baseline, sign)
            if found := found or _drift(rule, snapshot, window, number, baseline, sign):
                yield Key(rule.name, window.service), found
                break


_SIGNS: Final = {"high": (1,), "low": (-1,), "both": (1, -1)}


def _outlier(rule: Unusual, window: Window, number: float, baseline: Baseline, sign: int) -> Detection | None:
    score = sign * z_score(rule.metric, number, baseline)
    if score <= rule.deviations or not _is_relevant(rule, number, baseline.center, sign):
        return None
    direction = "far above" if sign > 0 else "far below"
    return _deviation_detection(rule, window, number, baseline, sign * rule.deviations, score, direction)


def _drift(
    rule: Unusual, snapshot: Snapshot, window: Window, number: float, baseline: Baseline, sign: int
) -> Detection | None:
    """Small differences in one direction that add up, and still go on."""
    if sign * z_score(rule.metric, number, baseline) <= 0:
        return None
    windows = snapshot.windows.between(window.service, window.minute - DRIFT_MINUTES, window.minute)
    latest = _deviations(rule, snapshot, windows[-_RECENT_MINUTES:])
    if len(latest) < _RECENT_MINUTES:
        return None
    mean = sign * sum(each.score for each in latest) / len(latest)
    level, center = (sum(each[place] for each in latest) / len(latest) for place in (0, 1))
    if mean <= rule.drift or not _is_relevant(rule, level, center, sign):
        return None
    scores = [sign * each.score for each in _deviations(rule, snapshot, windows)]
    if cusum(scores, rule.drift, _CUSUM_CAP) <= rule.drift_limit:
        return None
    direction = "for a while above" if sign > 0 else "for a while below"
    return _deviation_detection(rule, window, number, baseline, sign * rule.drift, mean, direction)


class _Deviation(NamedTuple):
    number: float
    center: float
    score: float


def _deviations(rule: Unusual, snapshot: Snapshot, windows: Sequence[Window]) -> list[_Deviation]:
    """The z-score of each window against the baseline of its time."""
    found = []
    for window in windows:
        number = metric_value(window, rule.metric)
        baseline = snapshot.history.baseline(window.service, rule.metric, window.minute, rule.history)
        if number is not None and baseline is not None:
            found.append(_Deviation(number, baseline.center, z_score(rule.metric, number, baseline)))
    return found


def _is_relevant(rule: Unusual, number: float, center: float, sign: int) -> bool:
    """Whether a difference is above the rule's smallest change, however significant it is."""
    change = sign * (number - center)
    least = rule.min_count if rule.metric in ("events", "errors") else 0.0
    relative = rule.min_change * (center if sign > 0 or rule.metric in ("events", "errors") else number)
    return change > max(relative, least)


def _value_at(metric: Metric, baseline: Baseline, score: float) -> float:
    """The number whose z-score against a baseline is so much."""
    if metric in ("p50", "p95"):
        return baseline.center * math.exp(score * baseline.spread / baseline.center)
    return max(0.0, baseline.center + score * baseline.spread)


def _deviation_detection(
    rule: Unusual, window: Window, number: float, baseline: Baseline, limit_score: float, score: float, direction: str
) -> Detection:
    limit = _value_at(rule.metric, baseline, limit_score)
    return detection(
        rule,
        window.service,
        number,
        limit,
        metric=_METRIC_NAMES[rule.metric],
        usual=baseline.center,
        deviations=score,
        how=direction,
        shown=_display_text(rule.metric, number),
        shown_usual=_display_text(rule.metric, baseline.center),
        shown_threshold=_display_text(rule.metric, limit),
    )


_METRIC_NAMES: Final[dict[Metric, str]] = {
    "events": "events a minute",
    "errors": "errors a minute",
    "error_rate": "error rate",
    "p50": "median of durations",
    "p95": "95th percentile of durations",
}


def _display_text(metric: Metric, number: float) -> str:
    if metric in ("p50", "p95"):
        return f"{number / 1e6:.0f} ms"
    return f"{number:.1%}" if metric == "error_rate" else f"{number:.0f}"


def _new_errors(rule: NewError, snapshot: Snapshot, minute: int) -> Iterator[tuple[Key, Detection]]:
    classes = snapshot.classes
    for service, error_type, first in classes.recent(minute, rule.fresh):
        if service not in rule.services or _minutes_of_history(service, snapshot, first) < rule.min_history:
            continue
        if not classes.events(service, error_type, minute - LATE_MINUTES, minute):
            continue
        events = classes.events(service, error_type, first - 1, minute)
        yield (
            Key(rule.name, service, error_type),
            detection(rule, service, events, 0, minutes=minute - first + 1, error_type=error_type),
        )


def _minutes_of_history(service: str, snapshot: Snapshot, minute: int) -> int:
    """For how many minutes a service was known before a minute."""
    learned = (snapshot.windows.first_reported_minute(service), snapshot.history.first_minute(service))
    return minute - min((since for since in learned if since is not None), default=minute)


def _silences(rule: Silence, snapshot: Snapshot, minute: int) -> Iterator[tuple[Key, Detection]]:
    table = snapshot.windows
    for service in table.services:
        last = table.last_reported_minute(service, minute)
        if service not in rule.services or last is None or minute - last > rule.forget_after:
            continue
        silent = table.count_covered_minutes(last, minute)
        if silent < rule.min_silence:
            continue
        presence = _presence(rule, table, service, last)
        if presence < _LEAST_PRESENCE:
            # What spoke for a few minutes, such as a job that ran once, is not expected to speak.
            continue
        limit = _longest_usual_silence(rule, table, service, last, presence)
        usually_there = snapshot.history.presence(service, minute, 28 * DAY_MINUTES)
        if silent < limit or (usually_there is not None and usually_there < _EXPECTED_PRESENCE):
            continue
        yield Key(rule.name, service), detection(rule, service, silent, limit, minutes=minute - last)


def _presence(rule: Silence, table: WindowTable, service: str, last: int) -> float:
    """The share of windows that a service had before it became silent; below 1, however sure it looks."""
    reported = len(table.reported_minutes(service, last - rule.presence, last))
    return reported / (table.count_covered_minutes(last - rule.presence, last) + 1)


def _longest_usual_silence(rule: Silence, table: WindowTable, service: str, last: int, presence: float) -> int:
    """So many silent windows are no chance, and longer than what the service often does."""
    by_chance = math.ceil(math.log(rule.false_alarm) / math.log1p(-presence))
    minutes = table.reported_minutes(service, last - DAY_MINUTES, last)
    silences = sorted(
        (table.count_covered_minutes(one, other) - 1 for one, other in pairwise(minutes) if other - one > 1),
        reverse=True,
    )
    # The longest may have been an outage; what comes at least twice a day is the service's way.
    often = math.ceil(_SILENCE_FACTOR * silences[1]) if len(silences) > 1 else 0
    return max(rule.min_silence, by_chance, often)


def _refunds(rule: Refunds, snapshot: Snapshot, minute: int) -> Iterator[tuple[Key, Detection]]:
    for window in _windows(rule, snapshot, minute):
        service = window.service
        windows = snapshot.windows.between(service, minute - rule.span, minute)
        refunds = sum(each.refunds for each in windows)
        if refunds <= rule.min_refunds:
            continue
        payments = sum(each.payments for each in windows)
        learned = snapshot.history.refund_share(service, minute, rule.history)
        share = rule.share if learned is None else learned
        limit = max(rule.min_refunds, _out_of_proportion(share * payments, rule))
        if refunds <= limit:
            continue
        names = {"payments": payments, "refunds": refunds, "usual": share}
        yield Key(rule.name, service), detection(rule, service, refunds, limit, minutes=rule.span, **names)


def _out_of_proportion(expected: float, rule: Refunds) -> float:
    """The count beyond which refunds are neither a multiple of the expected nor chance.

    Twice the square root of a count has a standard deviation of 1 (Anscombe, "The transformation of Poisson,
    binomial and negative-binomial data", 1948).
    """
    by_chance = (math.sqrt(expected + _ANSCOMBE) + rule.deviations / 2) ** 2 - _ANSCOMBE
    return max(rule.factor * expected, by_chance)


def _pipeline(rule: Pipeline, snapshot: Snapshot, minute: int) -> Iterator[tuple[Key, Detection]]:
    last = snapshot.windows.last_covered_minute(minute)
    if last is None or minute - last < rule.threshold:
        return
    behind = minute - last
    yield (
        Key(rule.name, EVERY_SERVICE),
        detection(rule, EVERY_SERVICE, behind, rule.threshold, minutes=behind),
    )


_CONDITIONS: Final[dict[type[Rule], Callable[[Any, Snapshot, int], Iterator[tuple[Key, Detection]]]]] = {
    Unusual: _unusual,
    NewError: _new_errors,
    Silence: _silences,
    Refunds: _refunds,
    Pipeline: _pipeline,
}
