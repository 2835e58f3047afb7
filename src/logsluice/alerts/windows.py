"""One-minute windows: one, the table of those of about two days, and up to which minute they are all there."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from logsluice.settings import AlertSettings

WINDOW_SECONDS: Final = 60
"""Length of a window; windows start at full minutes of UTC."""


@dataclass(frozen=True, slots=True)
class Window:
    """One minute of one service.

    Attributes:
        minute: Its start, in minutes since the epoch (:func:`minute_of`).
        service: ``service.name``; ``unknown`` where events name none.
        errors: Events of level error or critical, and answers of 500 and more.
        payments: Payments that succeeded.
        refunds: Refunds that succeeded.
        p50: Median of ``event.duration``, in nanoseconds; ``None`` where no event has one.
        p95: Its 95th percentile, likewise.
    """

    minute: int
    service: str
    events: int
    errors: int = 0
    critical: int = 0
    payments: int = 0
    refunds: int = 0
    p50: float | None = None
    p95: float | None = None


def minute_of(moment: datetime) -> int:
    """The minute that holds a moment, in minutes since the epoch."""
    return int(moment.timestamp() // WINDOW_SECONDS)


def moment_of(minute: int) -> datetime:
    """The beginning of a minute."""
    return datetime.fromtimestamp(minute * WINDOW_SECONDS, UTC)


class WindowTable:
    """Windows in memory, by service and minute.

    A minute in which some service has a window is *covered*; in others a silent service looks like a pipeline that
    stands still.
    """

    def __init__(self, windows: Iterable[Window] = ()) -> None:
        self._windows: dict[str, dict[int, Window]] = {}
        self._reported: dict[str, list[int]] = {}
        self._covered: list[int] = []
        self.add(windows)

    def add(self, windows: Iterable[Window]) -> None:
        """Add windows; one of the same minute and service is replaced."""
        for window in windows:
            of_service = self._windows.setdefault(window.service, {})
            if window.minute not in of_service:
                _insert(self._reported.setdefault(window.service, []), window.minute)
                if self.last_covered_minute(window.minute) != window.minute:
                    _insert(self._covered, window.minute)
            of_service[window.minute] = window

    def forget(self, before: int) -> None:
        """Remove windows of earlier minutes."""
        for service, minutes in [*self._reported.items()]:
            expired = bisect_left(minutes, before)
            for minute in minutes[:expired]:
                del self._windows[service][minute]
            del minutes[:expired]
            if not minutes:
                del self._reported[service], self._windows[service]
        del self._covered[: bisect_left(self._covered, before)]

    @property
    def services(self) -> Iterator[str]:
        """Every service that has a window here."""
        return iter(self._windows)

    @property
    def newest(self) -> int | None:
        """The last minute in which any service has a window."""
        return self._covered[-1] if self._covered else None

    def at(self, minute: int) -> list[Window]:
        """All windows of a minute."""
        return [window for of_service in self._windows.values() if (window := of_service.get(minute))]

    def between(self, service: str, after: int, until: int) -> list[Window]:
        """A service's windows after a minute, up to and with another."""
        of_service = self._windows.get(service, {})
        return [of_service[minute] for minute in self.reported_minutes(service, after, until)]

    def reported_minutes(self, service: str, after: int, until: int) -> list[int]:
        """The minutes in which a service has a window, after a minute, up to and with another."""
        minutes = self._reported.get(service, [])
        return minutes[bisect_right(minutes, after) : bisect_right(minutes, until)]

    def first_reported_minute(self, service: str) -> int | None:
        """The first minute in which a service has a window here."""
        minutes = self._reported.get(service)
        return minutes[0] if minutes else None

    def last_reported_minute(self, service: str, until: int) -> int | None:
        """The last minute, up to and with one, in which a service has a window."""
        minutes = self._reported.get(service, [])
        place = bisect_right(minutes, until)
        return minutes[place - 1] if place else None

    def count_covered_minutes(self, after: int, until: int) -> int:
        """How many minutes are covered after a minute, up to and with another."""
        return bisect_right(self._covered, until) - bisect_right(self._covered, after)

    def last_covered_minute(self, until: int) -> int | None:
        """The last minute, up to and with one, that is covered."""
        place = bisect_right(self._covered, until)
        return self._covered[place - 1] if place else None


def _insert(minutes: list[int], minute: int) -> None:
    if not minutes or minute > minutes[-1]:
        minutes.append(minute)
    else:
        insort(minutes, minute)


class Watermark:
    """Up to which minute windows can be evaluated.

    A window is evaluated when it is over by the clock and an allowance, and when the windows job has got so far: while
    the newest window of all services is behind the clock, what is missing means nothing, and only the rules about the
    pipeline itself go on.
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
        current = (newest, sum(window.events for window in table.at(newest)))
        if current != self._newest:
            self._newest, self._since = current, now
        return newest if now - self._since >= WINDOW_SECONDS else newest - 1
