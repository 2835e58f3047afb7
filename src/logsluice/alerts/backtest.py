"""Backtest of rules: what would have opened and resolved on stored windows, with nobody notified."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from logsluice.alerts.documents import Alert, alert_of
from logsluice.alerts.evaluator import Evaluator
from logsluice.alerts.queries import read_alerts
from logsluice.alerts.rules import Rule, Unusual
from logsluice.alerts.snapshot_loader import SnapshotLoader
from logsluice.alerts.windows import WINDOW_SECONDS, Watermark, minute_of
from logsluice.elasticsearch.client import connected
from logsluice.settings import Settings


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """What rules would have done on stored windows.

    Attributes:
        alerts: In the order in which they opened.
        without_baseline: By rule that compares with a baseline, the services of which too little history is known.
    """

    alerts: list[Alert]
    windows: int
    services: int
    without_baseline: dict[str, list[str]]


def backtest_rules(settings: Settings, rules: Sequence[Rule], since: datetime) -> BacktestResult:
    """Evaluate the windows since a moment as the alerts job would have.

    Raises:
        LogsluiceError: The server does not answer, or refuses.
    """
    now = time.time()
    first = minute_of(since)
    with connected(settings.elasticsearch) as client:
        snapshot = SnapshotLoader(client, settings, rules).load(int(now // WINDOW_SECONDS), first - 1)
    watermark = Watermark(settings.alerts)
    last = min(watermark.closed(now), snapshot.windows.newest or 0)
    found: dict[str, Alert] = {}
    for evaluation in Evaluator(rules, [], first - 1).evaluate(snapshot, last, watermark.closed(now)):
        alert = alert_of(evaluation, settings.alerts.link)
        found[alert.id] = alert
    window_counts = {
        name: len(snapshot.windows.reported_minutes(name, first - 1, last)) for name in snapshot.windows.services
    }
    present = sorted(name for name, windows in window_counts.items() if windows)
    without_baseline = {
        rule.name: names
        for rule in rules
        if isinstance(rule, Unusual)
        and (
            names := [
                name
                for name in present
                if name in rule.services and snapshot.history.baseline(name, rule.metric, last, rule.history) is None
            ]
        )
    }
    return BacktestResult(list(found.values()), sum(window_counts.values()), len(present), without_baseline)


def recorded_alerts(settings: Settings, resolved_since: datetime) -> list[Alert]:
    """The alerts that are open, and those that resolved since a moment, in the order in which they opened.

    Raises:
        LogsluiceError: The server does not answer, or refuses.
    """
    with connected(settings.elasticsearch) as client:
        alerts = read_alerts(client, settings.alerts_index, resolved_since)
    since = minute_of(resolved_since)
    return [alert for alert in alerts if alert.episode.resolved is None or alert.episode.resolved >= since]
