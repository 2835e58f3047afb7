"""Threshold rules, which need nothing but a window's own counts; reports apply the same ones to what they read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from logsluice.alerts.rules import CriticalCount, ErrorCount, ErrorRate, Rule, Severity
from logsluice.alerts.states import QUIET, Detection, State, advance
from logsluice.alerts.windows import Window


class Breach(NamedTuple):
    """A window over a rule's threshold.

    Attributes:
        rule: The rule's name.
        severity: The rule's.
        service: Whose window.
        minute: Start of the window, in minutes since the epoch.
        value: What was found: a share, or a count.
        threshold: What it is above.
        text: In words that name service, number and threshold.
    """

    rule: str
    severity: Severity
    service: str
    minute: int
    value: float
    threshold: float
    text: str


class BreachEpisode(NamedTuple):
    """Breaches of one rule by one service that are one alert.

    Attributes:
        rule: The rule's name.
        severity: The rule's.
        service: Whose windows.
        first: Start of the first window over the threshold, in minutes since the epoch.
        last: Start of the last one.
        worst: The highest value.
        threshold: What it is above.
        text: About the window with the highest value.
    """

    rule: str
    severity: Severity
    service: str
    first: int
    last: int
    worst: float
    threshold: float
    text: str


def find_breaches(rules: Sequence[Rule], windows: Iterable[Window]) -> list[Breach]:
    """Every window over a threshold of the rules ``error_rate``, ``error_count`` and ``critical_count``.

    Other kinds of rules are left out, and so are ``for`` and ``resolve_after``: each window is evaluated alone.

    Args:
        rules: Of :func:`logsluice.alerts.rules.load_rules`.
        windows: Counts by minute and service, in any order.

    Returns:
        By window in the order given, then by rule.
    """
    return [
        breach
        for window in windows
        for rule in rules
        if window.service in rule.services and (breach := breach_of(rule, window))
    ]


def breach_episodes(rules: Sequence[Rule], windows: Iterable[Window]) -> list[BreachEpisode]:
    """What :func:`find_breaches` finds, put together as alerts would be: with ``for`` and ``resolve_after``.

    Args:
        rules: Of :func:`logsluice.alerts.rules.load_rules`.
        windows: Counts by minute and service, in any order, each once; a minute without a window has no breach.

    Returns:
        In the order of their first windows.
    """
    by_name = {rule.name: rule for rule in rules}
    found: dict[tuple[str, str], dict[int, Breach]] = {}
    for breach in find_breaches(rules, windows):
        found.setdefault((breach.rule, breach.service), {})[breach.minute] = breach
    alerts = [alert for (name, _), breaches in found.items() for alert in _episodes_of_rule(by_name[name], breaches)]
    return sorted(alerts, key=lambda alert: (alert.first, alert.rule, alert.service))


def _episodes_of_rule(rule: Rule, breaches: dict[int, Breach]) -> list[BreachEpisode]:
    alerts: list[BreachEpisode] = []
    state = QUIET
    before = min(breaches) - 1
    for minute in sorted(breaches):
        # What is longer than resolve_after is quiet, however long it is.
        for quiet in range(before + 1, min(minute, before + 1 + rule.resolve_after)):
            state = _advance(rule, state, quiet, None)
        breach = breaches[minute]
        was_open = state.open
        state = _advance(rule, state, minute, breach)
        if state.open and not was_open:
            run = [breaches[each] for each in range(state.open.opened, minute + 1)]
            worst = max(run, key=lambda each: each.value)
            alerts.append(
                BreachEpisode(
                    rule.name, rule.severity, breach.service, state.open.opened, minute,
                    worst.value, worst.threshold, worst.text,
                )
            )  # fmt: skip
        elif state.open:
            alert = alerts[-1]._replace(last=minute)
            higher = breach.value > alert.worst
            alerts[-1] = alert._replace(worst=breach.value, text=breach.text) if higher else alert
        before = minute
    return alerts


def _advance(rule: Rule, state: State, minute: int, breach: Breach | None) -> State:
    detection = Detection(breach.value, breach.threshold, breach.text) if breach else None
    return advance(state, minute, detection, hold=rule.hold, resolve_after=rule.resolve_after)[0]


def breach_of(rule: Rule, window: Window) -> Breach | None:
    """What a rule about counts sees in a window; ``None`` where that is nothing."""
    value: float
    threshold: float
    if isinstance(rule, ErrorRate):
        if window.events < rule.min_events:
            return None
        value, threshold = window.errors / window.events, rule.threshold
    elif isinstance(rule, ErrorCount):
        value, threshold = window.errors, rule.threshold
    elif isinstance(rule, CriticalCount):
        value, threshold = window.critical, rule.threshold
    else:
        return None
    if value <= threshold:
        return None
    text = rule.words(
        {
            "service": window.service,
            "value": value,
            "threshold": threshold,
            "minutes": 1,
            "events": window.events,
            "errors": window.errors,
        }
    )
    return Breach(rule.name, rule.severity, window.service, window.minute, value, threshold, text)
