"""In-memory table of the windows of about two days, by service and minute."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator

from logsluice.alerts.windows import Window


class WindowTable:
    """Windows in memory, by service and minute.

    A minute in which some service has a window is *covered*; in others a silent service looks like a pipeline that
    stands still.
    """

    def __init__(self, windows: Iterable[Window] = ()) -> None:
        self._windows: dict[str, dict[int, Window]] = {}
        self._reported: dict[str, list[int]] = {}
        self._covered: list[int] = []
        self._count: dict[int, int] = {}
        self.add(windows)

    def add(self, windows: Iterable[Window]) -> None:
        """Add windows; one of the same minute and service is replaced."""
        for window in windows:
            of_service = self._windows.setdefault(window.service, {})
            if window.minute not in of_service:
                _put(self._reported.setdefault(window.service, []), window.minute)
                if window.minute not in self._count:
                    _put(self._covered, window.minute)
                self._count[window.minute] = self._count.get(window.minute, 0) + 1
            of_service[window.minute] = window

    def forget(self, before: int) -> None:
        """Remove windows of earlier minutes."""
        for service, minutes in [*self._reported.items()]:
            gone = bisect_left(minutes, before)
            for minute in minutes[:gone]:
                del self._windows[service][minute]
            del minutes[:gone]
            if not minutes:
                del self._reported[service], self._windows[service]
        gone = bisect_left(self._covered, before)
        for minute in self._covered[:gone]:
            del self._count[minute]
        del self._covered[:gone]

    @property
    def services(self) -> Iterator[str]:
        """Every service that has a window here."""
        return iter(self._windows)

    @property
    def newest(self) -> int | None:
        """The last minute in which any service has a window."""
        return self._covered[-1] if self._covered else None

    def get(self, service: str, minute: int) -> Window | None:
        """A service's window of a minute."""
        return self._windows.get(service, {}).get(minute)

    def at(self, minute: int) -> list[Window]:
        """All windows of a minute."""
        if minute not in self._count:
            return []
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


def _put(minutes: list[int], minute: int) -> None:
    if not minutes or minute > minutes[-1]:
        minutes.append(minute)
    else:
        insort(minutes, minute)
