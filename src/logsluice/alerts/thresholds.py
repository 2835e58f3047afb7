"""Threshold rules, which need nothing but a window's own counts; reports apply the same ones to what they read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from logsluice.alerts.rules import CriticalCount, ErrorCount, ErrorRate, Rule, Severity
from logsluice.alerts.states import QUIET, Detection, Episode, advance
from logsluice.alerts.windows import Window


class BreachEpisode(NamedTuple):
    """Breaches of one rule by one service that are one alert.

    From the first window over the threshold to the last (minutes since the epoch); ``text`` is about the worst of them.
    """

    rule: str
    severity: Severity
    service: str
    first: int
    last: int
    worst: float
    threshold: float
    text: str


def breach_episodes(rules: Sequence[Rule], windows: Iterable[Window]) -> list[BreachEpisode]:
    """The windows over a threshold, put together as alerts would be: with ``for`` and ``resolve_after``.

    Args:
        rules: Of :func:`logsluice.alerts.rules.load_rules`; other kinds than thresholds are left out.
        windows: Counts by minute and service, in any order, each once; a minute without a window has no breach.

    Returns:
        In the order of their first windows.
    """
    found: dict[tuple[int, str], dict[int, Detection]] = {}
    for window in windows:
        for place, rule in enumerate(rules):
            if window.service in rule.services and (detection := detect_breach(rule, window)):
                found.setdefault((place, window.service), {})[window.minute] = detection
    alerts = [
        alert for (place, service), breaches in found.items() for alert in _episodes(rules[place], service, breaches)
    ]
    return sorted(alerts, key=lambda alert: (alert.first, alert.rule, alert.service))


def _episodes(rule: Rule, service: str, breaches: dict[int, Detection]) -> Iterator[BreachEpisode]:
    episodes: list[Episode] = []
    state = QUIET
    before = min(breaches) - 1
    for minute in sorted(breaches):
        # What is longer than resolve_after is quiet, however long it is.
        for quiet in range(before + 1, min(minute, before + 1 + rule.resolve_after)):
            state, _, _ = advance(state, quiet, None, hold=rule.hold, resolve_after=rule.resolve_after)
        state, transition, episode = advance(
            state, minute, breaches[minute], hold=rule.hold, resolve_after=rule.resolve_after
        )
        if episode:
            episodes[len(episodes) if transition else -1 :] = [episode]
        before = minute
    for episode in episodes:
        during = range(episode.opened, episode.last + 1)
        worst = max((breaches[minute] for minute in during if minute in breaches), key=lambda breach: breach.value)
        yield BreachEpisode(rule.name, rule.severity, service, episode.opened, episode.last, *worst)


def detect_breach(rule: Rule, window: Window) -> Detection | None:
    """What a rule about counts detects in a window; nothing where the rule is of another kind."""
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
    return detection(rule, window.service, value, threshold, events=window.events, errors=window.errors)


def detection(
    rule: Rule, service: str, value: float, threshold: float, *, minutes: int = 1, **names: object
) -> Detection:
    """A detection in the words of its rule; ``names`` is what else may stand in the rule's text."""
    values = {"service": service, "value": value, "threshold": threshold, "minutes": minutes, **names}
    return Detection(value, threshold, rule.words(values))
