"""Tells alerts in the job's own log."""

from __future__ import annotations

import structlog

from logsluice.alerts.documents import Notice, headline

log = structlog.get_logger(__name__)


class ConsoleOutput:
    """A line of the job's log for each alert that opens or resolves."""

    name = "console"

    def tell(self, notice: Notice) -> None:
        """Log it; an alert that opens as a warning or an error, by its severity."""
        say = log.info
        if notice.transition == "opened":
            say = log.error if notice.alert.severity == "critical" else log.warning
        say(
            f"alert {notice.transition}: {headline(notice)}",
            alert=notice.alert.id,
            rule=notice.alert.key.rule,
            service=notice.alert.key.service,
            url=notice.alert.url,
        )

    def close(self) -> None:
        """Nothing to let go of."""
