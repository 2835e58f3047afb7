"""The rules that need nothing but a window's own counts; reports apply the same ones to what they read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from logsluice.alerts.rules import CriticalCount, ErrorCount, ErrorRate, Rule, Severity
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


def exceeded(rules: Sequence[Rule], windows: Iterable[Window]) -> list[Breach]:
    """Every window over a threshold of the rules ``error_rate``, ``error_count`` and ``critical_count``.

    Other kinds of rules are left out, and so are ``for`` and ``resolve_after``: each window is judged alone.

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
