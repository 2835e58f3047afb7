"""The store of alerts that are open or that some output is still to be notified of; safe for several threads.

An alert is stored together with the names of the outputs still to be notified of it, and a name is taken off when that
is done (the pattern of a transactional outbox). So whatever is killed, a process that starts anew reads which are to be
notified, and the worst that can happen is that an output is notified twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from threading import Condition

from logsluice.alerts.conditions import EVERY_SERVICE
from logsluice.alerts.documents import Alert, Notification, alert_id, alert_of
from logsluice.alerts.evaluator import Evaluation
from logsluice.alerts.states import Transition
from logsluice.runtime import metrics


class AlertStore:
    """Alerts by their identity; ``link`` is the template of their links, ``alerts`` what was recorded before."""

    def __init__(self, outputs: Iterable[str], link: str, alerts: Iterable[Alert] = ()) -> None:
        self._outputs = tuple(outputs)
        self._link = link
        self._alerts = {alert.id: alert for alert in alerts}
        self._changed: dict[str, None] = {}
        self._condition = Condition()
        self._services = metrics.LabelNames()
        self._services(EVERY_SERVICE)
        self._shown: set[tuple[str, str, str]] = set()
        self._show()

    def apply(self, evaluations: Sequence[Evaluation]) -> list[Notification]:
        """Apply evaluations; returns the notifications to send."""
        notifications = []
        with self._condition:
            for evaluation in evaluations:
                known = self._alerts.get(alert_id(evaluation.key, evaluation.episode.opened))
                alert = alert_of(evaluation, self._link, known.pending if known else frozenset())
                if evaluation.transition:
                    notifications.append(self._transition(alert, evaluation.transition))
                else:
                    self._put(alert)
            self._show()
            self._condition.notify_all()
        return notifications

    def retire(self, rules: Iterable[str]) -> list[Notification]:
        """Resolve what is open of rules that there are no more; returns the notifications to send."""
        known = set(rules)
        notifications = []
        with self._condition:
            for alert in [*self._alerts.values()]:
                if alert.status == "open" and alert.key.rule not in known:
                    ended = replace(alert.episode, resolved=alert.episode.last + 1)
                    notifications.append(self._transition(replace(alert, episode=ended), "resolved"))
            self._show()
        return notifications

    def _transition(self, alert: Alert, transition: Transition) -> Notification:
        outputs = {f"{output}:{transition}" for output in self._outputs}
        alert = replace(alert, pending=alert.pending | outputs)
        self._put(alert)
        metrics.ALERTS.labels(alert.key.rule, alert.severity, transition).inc()
        return Notification(alert, transition)

    def _put(self, alert: Alert) -> None:
        self._alerts[alert.id] = alert
        self._changed[alert.id] = None

    def pending(self) -> list[tuple[str, Notification]]:
        """The notifications still to send, with their output; none of an output that there is no more."""
        with self._condition:
            undelivered: list[tuple[str, Notification]] = []
            for alert in sorted(self._alerts.values(), key=lambda each: each.episode.opened):
                pending = frozenset(name for name in alert.pending if name.partition(":")[0] in self._outputs)
                if pending != alert.pending:
                    self._put(replace(alert, pending=pending))
                transitions: tuple[Transition, ...] = ("opened", "resolved")
                for transition in transitions:
                    for output in self._outputs:
                        if f"{output}:{transition}" in pending:
                            undelivered.append((output, Notification(alert, transition)))
            return undelivered

    def mark_notified(self, output: str, notification: Notification) -> None:
        """Note that an output was notified."""
        with self._condition:
            alert = self._alerts.get(notification.alert.id)
            if alert:
                self._put(replace(alert, pending=alert.pending - {f"{output}:{notification.transition}"}))
                self._condition.notify_all()

    def changed(self, seconds: float) -> list[Alert]:
        """The alerts that changed since the last call; waits so long at most for one to change."""
        with self._condition:
            if not self._changed:
                self._condition.wait(seconds)
            changed = [self._alerts[name] for name in self._changed]
            self._changed.clear()
            return changed

    def stored(self, alerts: Iterable[Alert]) -> None:
        """Note that alerts are stored as they are here; what is over is forgotten."""
        with self._condition:
            for alert in alerts:
                if alert.status == "resolved" and not alert.pending and self._alerts.get(alert.id) == alert:
                    del self._alerts[alert.id]

    def not_stored(self, alerts: Iterable[Alert]) -> None:
        """Note that alerts could not be stored."""
        with self._condition:
            self._changed.update(dict.fromkeys(alert.id for alert in alerts if alert.id in self._alerts))

    def _show(self) -> None:
        """Put the open alerts on ``/metrics``; what resolved is shown as zero, so that its end is seen at once."""
        counts: Counter[tuple[str, str, str]] = Counter(
            (alert.key.rule, self._services(alert.key.service), alert.severity)
            for alert in self._alerts.values()
            if alert.status == "open"
        )
        self._shown |= set(counts)
        for labels in self._shown:
            metrics.ALERTS_OPEN.labels(*labels).set(counts[labels])
