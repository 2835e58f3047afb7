"""Notifications in the job's own log."""

from __future__ import annotations

import structlog

from logsluice.alerts.documents import Notification, headline

log = structlog.get_logger(__name__)


class ConsoleOutput:
    """A line of the job's log for each alert that opens or resolves."""

    name = "console"

    def notify(self, notification: Notification) -> None:
        """Log it; an alert that opens as a warning or an error, by its severity."""
        say = log.info
        if notification.transition == "opened":
            say = log.error if notification.alert.severity == "critical" else log.warning
        say(
            f"alert {notification.transition}: {headline(notification)}",
            alert=notification.alert.id,
            rule=notification.alert.key.rule,
            service=notification.alert.key.service,
            url=notification.alert.url,
        )

    def close(self) -> None:
        """Nothing to let go of."""
