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


def by_minute(counts: DataFrame) -> DataFrame:
    """``minute``, ``level`` (null where events have none), ``service``, ``events``."""
    return counts.where(sf.col("minute").isNotNull()).select("minute", "level", "service", "events")


def span(counts: DataFrame) -> DataFrame:
    """``first`` and ``last`` minute with events, in one row; null where there are none."""
    return counts.transform(by_minute).agg(sf.min("minute").alias("first"), sf.max("minute").alias("last"))


def windows(counts: DataFrame) -> DataFrame:
    """Minutes with errors: ``minute``, ``service``, ``events``, ``errors``, ``critical``; by time and service."""
    return (
        counts.transform(by_minute)
        .groupBy("minute", "service")
        .agg(sf.sum("events").alias("events"), _errors().alias("errors"), _critical().alias("critical"))
        .where("errors > 0")
        .transform(_ordered, "minute", "service")
    )


def trends(counts: DataFrame) -> DataFrame:
    """``hour``, ``events``, ``errors``, ``critical``; hours with events, by time."""
    return (
        counts.transform(by_minute)
        .groupBy(sf.date_trunc("hour", "minute").alias("hour"))
        .agg(sf.sum("events").alias("events"), _errors().alias("errors"), _critical().alias("critical"))
        .transform(_ordered, "hour")
    )


def errors_by_hour(counts: DataFrame) -> DataFrame:
    """``hour``, ``count``; hours with errors, by time."""
    hour = sf.date_trunc("hour", "minute").alias("hour")
    return counts.transform(_errors_by, hour).transform(_ordered, "hour")


def errors_by_day(counts: DataFrame) -> DataFrame:
    """``day``, ``count``; days with errors, by time."""
    return counts.transform(_errors_by, sf.to_date("minute").alias("day")).transform(_ordered, "day")


def errors_by_severity(counts: DataFrame) -> DataFrame:
    """``severity``, ``count``; levels with errors, worst first."""
    return counts.transform(_errors_by, sf.col("level").alias("severity")).transform(_ordered, "severity")


def errors_per_service(counts: DataFrame) -> DataFrame:
    """``service``, ``count``; most errors first."""
    return counts.transform(_errors_by, sf.col("service")).transform(_most_first, "service")


def errors_by_type(counts: DataFrame) -> DataFrame:
    """``error_type``, ``count``; most errors first."""
    return counts.transform(_of_set, "error_type", "error_type")


def top_errors(counts: DataFrame) -> DataFrame:
    """``message`` (a template), ``count``; most errors first."""
    return counts.transform(_of_set, "template", "message")


def errors_per_ip(counts: DataFrame) -> DataFrame:
    """``ip``, ``count``; most errors first."""
    return counts.transform(_of_set, "ip", "ip")


def errors_per_endpoint(counts: DataFrame) -> DataFrame:
    """``endpoint``, ``count``; most errors first."""
    return counts.transform(_of_set, "endpoint", "endpoint")


def rejected(counts: DataFrame) -> DataFrame:
    """``source``, ``line``, ``reason``, ``row``, in no order; what has no ``row`` is about the whole source."""
    return counts.where(sf.col("source").isNotNull()).select("source", "line", "reason", "row")


def _errors_by(counts: DataFrame, key: Column) -> DataFrame:
    errors = counts.transform(by_minute).where(sf.col("level").isin(*ERROR_LEVELS))
    return errors.groupBy(key).agg(sf.sum("events").alias("count"))


def _of_set(counts: DataFrame, column: str, name: str) -> DataFrame:
    found = counts.where(sf.col(column).isNotNull())
    return found.select(sf.col(column).alias(name), sf.col("events").alias("count")).transform(_most_first, name)


def _most_first(counts: DataFrame, name: str) -> DataFrame:
    return counts.transform(_ordered, sf.desc("count"), name)


def _ordered(frame: DataFrame, *by: Column | str) -> DataFrame:
    """Sorted as one partition: sorting over several would read the table twice to find where to cut it."""
    return frame.coalesce(1).sortWithinPartitions(*by)


def _errors() -> Column:
    return sf.sum(sf.when(sf.col("level").isin(*ERROR_LEVELS), sf.col("events")).otherwise(0))


def _critical() -> Column:
    return sf.sum(sf.when(sf.col("level") == ERROR_LEVELS[0], sf.col("events")).otherwise(0))
