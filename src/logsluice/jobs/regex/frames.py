"""Kafka as Spark reads it, brought down to the columns that have to cross into Python."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from logsluice.jobs.regex.stats import BatchStats
from logsluice.jobs.regex.workers import STATS_DDL, Work, write_batches

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_COLUMNS = (
    "partition",
    "offset",
    "unix_millis(timestamp) AS timestamp_ms",
    "value",
    "key",
    # Null where there are none, so that the usual record costs nothing here.
    "IF(size(headers) > 0, headers, NULL) AS headers",
)


def write_frame(frame: DataFrame, topic: str, work: Work) -> list[BatchStats]:
    """Write all records of a frame of Kafka's source; back when every one is acknowledged.

    The same frame may be written again: it changes nothing.

    Args:
        frame: What Spark's Kafka source gives, headers included.
        topic: The one topic they are of.
        work: How to extract, where to write.
    """
    stats = frame.selectExpr(*_COLUMNS).mapInArrow(partial(write_batches, work=work, topic=topic), STATS_DDL)
    return [BatchStats.from_json(row.stats) for row in stats.collect()]
