"""The watermark of the alerts job: up to which minute windows can be evaluated.

A window is evaluated when it is over by the clock and an allowance, and when the windows job has got so far: while the
newest window of all services is behind the clock, what is missing means nothing, and only the rules about the
pipeline itself go on.
"""

from __future__ import annotations

from logsluice.alerts.window_table import WindowTable
from logsluice.alerts.windows import WINDOW_SECONDS
from logsluice.settings import AlertSettings


class Watermark:
    """Up to which minute all windows are there.

    Args:
        settings: Of the alerts.
    """

    def __init__(self, settings: AlertSettings) -> None:
        self._allowance = settings.allowance_seconds
        self._newest: tuple[int, int] | None = None
        self._since = 0.0

    def closed(self, now: float) -> int:
        """The last minute that is over by the clock, at a time in seconds since the epoch."""
        return int((now - self._allowance) // WINDOW_SECONDS) - 1

    def complete(self, table: WindowTable, now: float) -> int:
        """The last minute whose windows are all there.

        While the newest window is behind the clock, it may still grow; it counts when it has not for a minute.
        """
        closed = self.closed(now)
        newest = table.newest
        if newest is None or newest >= closed:
            return closed
        seen = (newest, sum(window.events for window in table.at(newest)))
        if seen != self._newest:
            self._newest, self._since = seen, now
        return newest if now - self._since >= WINDOW_SECONDS else newest - 1
