"""Builds a report from its sources; the only module of reports that starts Spark jobs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import polars as pl
from pyspark import StorageLevel

from logsluice.alerts.rules import Rule
from logsluice.alerts.thresholds import BreachEpisode, breach_episodes
from logsluice.alerts.windows import Window, minute_of
from logsluice.errors import LogsluiceError
from logsluice.jobs.spark.failures import describe_error
from logsluice.reports import aggregations
from logsluice.reports.events import COUNTS_DDL
from logsluice.reports.readers import WorkerInput, read_batches

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_PARTITIONS_A_CORE: Final = 32
_POLL_SECONDS: Final = 0.2
_ROWS_AT_ONCE: Final = 50_000

RejectedRow = tuple[str, int | None, str, str | None]
"""Source, line, reason and row."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a report says.

    Attributes:
        first: The minute of the earliest event, in UTC; None where there is none.
        last: The minute of the latest event.
        trends: ``hour``, ``events``, ``errors``, ``critical``, by time.
        minutes: ``minute``, ``service``, ``events``, ``errors``, ``critical`` of minutes with errors, by time.
        by_hour: Errors by hour: ``hour``, ``count``; likewise ``by_day`` to ``by_endpoint``.
        alerts: Thresholds that were exceeded, by time.
        damage: Lines about sources that could not be read to their end.
    """

    sources: tuple[str, ...]
    events: int
    errors: int
    critical: int
    rejected: int
    first: datetime | None
    last: datetime | None
    trends: pl.DataFrame
    minutes: pl.DataFrame
    by_hour: pl.DataFrame
    by_day: pl.DataFrame
    by_severity: pl.DataFrame
    by_type: pl.DataFrame
    by_message: pl.DataFrame
    by_ip: pl.DataFrame
    by_service: pl.DataFrame
    by_endpoint: pl.DataFrame
    alerts: tuple[BreachEpisode, ...]
    damage: tuple[str, ...]

    @property
    def error_rate(self) -> float:
        """Share of errors among the events, 0 to 1."""
        return self.errors / self.events if self.events else 0.0


@contextmanager
def build_report(
    spark: SparkSession,
    worker_input: WorkerInput,
    sources: Sequence[str],
    rules: Sequence[Rule],
    *,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Iterator[tuple[Report, Iterator[RejectedRow]]]:
    """Read the sources once and count; the report, and the rejected rows by source and line.

    Args:
        spark: Where to run; its workers must see the files.
        rules: The thresholds that are held against each minute of each service.
        on_progress: Called with how many tasks are done, and of how many.

    Raises:
        LogsluiceError: Spark gave up, or Elasticsearch refused.
    """
    counts = aggregations.aggregate(read_counts(spark, worker_input)).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        with _report_progress(spark, on_progress):
            counts.count()
        report = _report(counts, sources, rules)
        yield report, _rejected(counts, report.rejected + len(report.damage))
    except LogsluiceError:
        raise
    except Exception as error:
        if type(error).__module__.startswith(("py4j", "pyspark")):
            raise LogsluiceError("Spark gave up", why=describe_error(error)) from None
        raise
    finally:
        counts.unpersist()


def read_counts(spark: SparkSession, worker_input: WorkerInput) -> DataFrame:
    """What the sources hold, with the columns of :data:`logsluice.reports.events.COUNTS_SCHEMA`."""
    tasks = len(worker_input.tasks)
    partitions = max(1, min(tasks, _PARTITIONS_A_CORE * spark.sparkContext.defaultParallelism))
    return spark.range(0, tasks, 1, partitions).mapInArrow(partial(read_batches, worker_input=worker_input), COUNTS_DDL)


def _report(counts: DataFrame, sources: Sequence[str], rules: Sequence[Rule]) -> Report:
    trends, minutes = _collected(aggregations.trends(counts)), _collected(aggregations.windows(counts))
    span = _collected(aggregations.span(counts))
    rejected = aggregations.rejected(counts)
    damage = rejected.where("row IS NULL").orderBy("source", "reason").collect()
    windows = [Window(minute_of(minute), *numbers) for minute, *numbers in minutes.iter_rows()]
    return Report(
        sources=tuple(sources),
        events=int(trends["events"].sum()),
        errors=int(trends["errors"].sum()),
        critical=int(trends["critical"].sum()),
        rejected=rejected.where("row IS NOT NULL").count(),
        first=span.item(0, "first"),
        last=span.item(0, "last"),
        trends=trends,
        minutes=minutes,
        **{name: _collected(frame) for name, frame in aggregations.errors(counts).items()},
        alerts=tuple(breach_episodes(rules, windows)),
        damage=tuple(f"{row.source}: {row.reason}" for row in damage),
    )


def _collected(frame: DataFrame) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(frame.toArrow()))


def _rejected(counts: DataFrame, rows: int) -> Iterator[RejectedRow]:
    """Fetched a partition at a time, so that many of them do not fill the driver's memory."""
    if not rows:
        return
    frame = aggregations.rejected(counts)
    parts = rows // _ROWS_AT_ONCE + 1
    ordered = frame.coalesce(1) if parts == 1 else frame.repartitionByRange(parts, "source", "line")
    for row in ordered.sortWithinPartitions("source", "line").toLocalIterator():
        yield row.source, row.line, row.reason, row.row


@contextmanager
def _report_progress(spark: SparkSession, on_progress: Callable[[int, int], None]) -> Iterator[None]:
    """Call ``on_progress`` with how many tasks of the stage that reads are done, as long as it runs."""
    tracker = spark.sparkContext.statusTracker()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_POLL_SECONDS):
            stages = [info for stage in tracker.getActiveStageIds() if (info := tracker.getStageInfo(stage))]
            if stages:
                first = min(stages, key=lambda info: info.stageId)
                on_progress(first.numCompletedTasks, first.numTasks)

    watcher = threading.Thread(target=watch, name="report-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
