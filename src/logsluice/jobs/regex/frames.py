"""The write of a Spark frame of Kafka records by the workers, and the counts that come back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from logsluice.jobs.regex.stats import BatchStats
from logsluice.jobs.regex.workers import STATS_DDL, Work, write_batches
from logsluice.jobs.spark.kafka_records import record_columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def write_frame(frame: DataFrame, topic: str, work: Work) -> list[BatchStats]:
    """Write all records of a frame of Kafka's source; back when every one is acknowledged.

    The same frame may be written again: it changes nothing.

    Args:
        frame: What Spark's Kafka source gives, headers included.
        topic: The one topic they are of.
        work: How to extract, where to write.
    """
    stats = record_columns(frame).mapInArrow(partial(write_batches, work=work, topic=topic), STATS_DDL)
    return [BatchStats.from_json(row.stats) for row in stats.collect()]
