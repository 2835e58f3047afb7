"""Error classes of the results index: which service reported which, and when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class ErrorClassCount(NamedTuple):
    """Events of a class of error of a service in a minute (since the epoch)."""

    service: str
    error_type: str
    minute: int
    events: int


class ErrorClasses:
    """What is known of classes of errors.

    ``first`` has the first minute in which each service reported each class, within the lookback; ``reported`` events
    of the time that is evaluated.
    """

    def __init__(
        self, first: Mapping[tuple[str, str], int] | None = None, reported: Iterable[ErrorClassCount] = ()
    ) -> None:
        self._first = dict(first or {})
        self._reported: dict[tuple[str, str], dict[int, int]] = {}
        self.add(reported)

    def add(self, reported: Iterable[ErrorClassCount]) -> None:
        """Note events; a minute that is added again is replaced."""
        for service, error_type, minute, events in reported:
            key = (service, error_type)
            self._first[key] = min(minute, self._first.get(key, minute))
            self._reported.setdefault(key, {})[minute] = events

    def recent(self, minute: int, fresh: int) -> Iterable[tuple[str, str, int]]:
        """Service, class and first minute of the classes that are younger than so many minutes."""
        for service, error_type in self._reported:
            first = self._first[service, error_type]
            if minute - fresh < first <= minute:
                yield service, error_type, first

    def events(self, service: str, error_type: str, after: int, until: int) -> int:
        """Events of a class after a minute, up to and with another."""
        minutes = self._reported.get((service, error_type), {})
        return sum(events for minute, events in minutes.items() if after < minute <= until)
