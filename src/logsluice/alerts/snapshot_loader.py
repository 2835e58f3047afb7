"""Loads the snapshot that rules are evaluated on from Elasticsearch, and keeps it up to date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from elasticsearch import Elasticsearch

from logsluice.alerts.baseline import History
from logsluice.alerts.conditions import CONTEXT_MINUTES, DAY_MINUTES, LATE_MINUTES, Snapshot
from logsluice.alerts.error_classes import ErrorClasses
from logsluice.alerts.queries import read_classes, read_error_class_counts, read_hours, read_windows
from logsluice.alerts.rules import Metric, NewError, Refunds, Rule, Unusual
from logsluice.alerts.windows import WindowTable
from logsluice.settings import Settings

_HOUR: Final = 60
_CORRECTED_MINUTES: Final = 10
"""Windows may be corrected for so long by events that come late."""


class SnapshotLoader:
    """Loads what the rules need of the snapshot, at first all of it and then what is new."""

    def __init__(self, client: Elasticsearch, settings: Settings, rules: Sequence[Rule]) -> None:
        self._client = client
        self._settings = settings
        self._metrics: set[Metric] = {rule.metric for rule in rules if isinstance(rule, Unusual)}
        self._history = max([28 * DAY_MINUTES, *(r.history for r in rules if isinstance(r, Unusual | Refunds))])
        self._new = [rule for rule in rules if isinstance(rule, NewError)]
        self._windows_until: int | None = None
        self._hours_until: int | None = None
        self.snapshot = Snapshot(WindowTable(), History(), ErrorClasses())

    def load(self, until: int, evaluated_until: int) -> Snapshot:
        """Load what is new up to a minute, for what is to be evaluated after another.

        Raises:
            elastic_transport.TransportError, elasticsearch.ApiError: The server does not answer, or refuses.
        """
        self._read_windows(until, evaluated_until)
        over = until // _HOUR - 1
        if self._hours_until is None or over > self._hours_until:
            self._read_hours(over, evaluated_until)
            self._read_classes(until, evaluated_until)
        elif self._new:
            self.snapshot.classes.add(
                read_error_class_counts(
                    self._client, self._settings.results_index, evaluated_until - _CORRECTED_MINUTES, until
                )
            )
        return self.snapshot

    def _read_windows(self, until: int, evaluated_until: int) -> None:
        first = evaluated_until + 1 - (CONTEXT_MINUTES if self._windows_until is None else _CORRECTED_MINUTES)
        if self._windows_until is not None:
            first = min(first, self._windows_until - _CORRECTED_MINUTES)
        self.snapshot.windows.add([*read_windows(self._client, self._settings.windows_index, first, until)])
        self.snapshot.windows.forget(evaluated_until - CONTEXT_MINUTES - _HOUR)
        self._windows_until = until

    def _read_hours(self, over: int, evaluated_until: int) -> None:
        """Summaries of hours that are over, and again of the last one, in case its windows were corrected."""
        oldest = (evaluated_until - self._history) // _HOUR
        first = oldest if self._hours_until is None else self._hours_until
        self.snapshot.history.add([*read_hours(self._client, self._settings.windows_index, first, over, self._metrics)])
        self.snapshot.history.forget(oldest)
        self._hours_until = over

    def _read_classes(self, until: int, evaluated_until: int) -> None:
        if self._new:
            self.snapshot.classes = read_classes(
                self._client,
                self._settings.results_index,
                evaluated_until - max(rule.lookback for rule in self._new),
                until,
                evaluated_until - max(rule.fresh for rule in self._new) - LATE_MINUTES,
            )
