"""The counts of a report: DataFrames in, DataFrames out.

What workers read is aggregated once, by :func:`aggregate`, into a table of which every file of the report is a small
part: ``counts`` below. Only that table is kept.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from logsluice.reports.events import ERROR_LEVELS

_SETS: Final[tuple[tuple[str, ...], ...]] = (
    ("minute", "level", "service"),
    ("error_type",),
    ("template",),
    ("ip",),
    ("endpoint",),
    ("source", "line", "reason", "row"),
)
_COLUMNS: Final = tuple(column for columns in _SETS for column in columns)

# In the order of the column that is counted by; what has no order of its own, most errors first.
_ORDERED: Final = {
    "by_hour": "date_trunc('hour', minute) AS hour",
    "by_day": "to_date(minute) AS day",
    "by_severity": "level AS severity",
}
_MOST_FIRST: Final = {"by_service": "service"}
_MOST_FIRST_OF_SETS: Final = {
    "by_type": "error_type",
    "by_message": "template AS message",
    "by_ip": "ip",
    "by_endpoint": "endpoint",
}


def aggregate(events: DataFrame) -> DataFrame:
    """Aggregate what was read by each of several sets of columns, in one pass.

    Args:
        events: Columns of :data:`logsluice.reports.events.COUNTS_SCHEMA`.

    Returns:
        Those columns; a row has values in the columns of one set alone, and ``events``, their sum.
    """
    keys = [sf.col(name) for name in _COLUMNS]
    grouped = events.groupingSets([[sf.col(name) for name in columns] for columns in _SETS], *keys)
    return grouped.agg(sf.sum("events").alias("events")).where(
        reduce(or_, (sf.col(columns[0]).isNotNull() for columns in _SETS))
    )


def span(counts: DataFrame) -> DataFrame:
    """``first`` and ``last`` minute with events, in one row; null where there are none."""
    return counts.agg(sf.min("minute").alias("first"), sf.max("minute").alias("last"))


def windows(counts: DataFrame) -> DataFrame:
    """Minutes with errors: ``minute``, ``service``, ``events``, ``errors``, ``critical``; by time and service."""
    return _ordered(_sums(counts, sf.col("minute"), sf.col("service")).where("errors > 0"), "minute", "service")


def trends(counts: DataFrame) -> DataFrame:
    """``hour``, ``events``, ``errors``, ``critical``; hours with events, by time."""
    return _ordered(_sums(counts, sf.date_trunc("hour", "minute").alias("hour")), "hour")


def errors(counts: DataFrame) -> dict[str, DataFrame]:
    """Errors by hour, type and the like, by the names that a report has for them: what is counted by, and ``count``."""
    by_minute = counts.where(sf.col("minute").isNotNull() & sf.col("level").isin(*ERROR_LEVELS))
    found = {}
    for name, key in (_ORDERED | _MOST_FIRST | _MOST_FIRST_OF_SETS).items():
        column = sf.expr(key)
        if name in _MOST_FIRST_OF_SETS:
            frame = counts.where(sf.col(key.split()[0]).isNotNull()).select(column, sf.col("events").alias("count"))
        else:
            frame = by_minute.groupBy(column).agg(sf.sum("events").alias("count"))
        first = [] if name in _ORDERED else [sf.desc("count")]
        found[name] = _ordered(frame, *first, frame.columns[0])
    return found


def rejected(counts: DataFrame) -> DataFrame:
    """``source``, ``line``, ``reason``, ``row``, in no order; what has no ``row`` is about the whole source."""
    return counts.where(sf.col("source").isNotNull()).select("source", "line", "reason", "row")


def _sums(counts: DataFrame, *keys: Column) -> DataFrame:
    return (
        counts.where(sf.col("minute").isNotNull())
        .groupBy(*keys)
        .agg(
            sf.sum("events").alias("events"),
            _events_of(*ERROR_LEVELS).alias("errors"),
            _events_of(ERROR_LEVELS[0]).alias("critical"),
        )
    )


def _events_of(*levels: str) -> Column:
    return sf.sum(sf.when(sf.col("level").isin(*levels), sf.col("events")).otherwise(0))


def _ordered(frame: DataFrame, *by: Column | str) -> DataFrame:
    """Sorted as one partition: sorting over several would read the table twice to find where to cut it."""
    return frame.coalesce(1).sortWithinPartitions(*by)
