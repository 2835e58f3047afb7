"""Pieces of a report's work, each read by one worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from logsluice.elasticsearch.queries import time_range
from logsluice.jobs.spark.files import FilePart
from logsluice.reports.csv_logs import CsvLayout


@dataclass(frozen=True, slots=True)
class CsvTask:
    """A part of a CSV log."""

    part: FilePart
    layout: CsvLayout


@dataclass(frozen=True, slots=True)
class LinesTask:
    """A part of any other file; ``joined``: it is whole, and the lines of one event belong together."""

    part: FilePart
    joined: bool


@dataclass(frozen=True, slots=True)
class StoredRange:
    """A stretch of time in an index, in milliseconds since the epoch; ``end`` is not in it."""

    index: str
    begin: int
    end: int
    events: int

    @property
    def query(self) -> dict[str, Any]:
        """The events in it."""
        return time_range(self.begin, self.end)


Task = CsvTask | LinesTask | StoredRange
