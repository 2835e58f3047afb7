"""The windows job's query: transformations from Kafka's records to finished windows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from logsluice.event.ecs import LEVELS
from logsluice.jobs.spark.kafka_records import record_columns
from logsluice.jobs.windows.events import ROW_DDL, WindowsTaskSpec, clock_rows, event_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

STATE = {
    "spark.sql.streaming.stateStore.providerClass": (
        "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
    ),
    # Of a batch only what changed is stored, whole snapshots are made aside.
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
    "spark.sql.streaming.stateStore.rocksdb.boundedMemoryUsage": "true",
    "spark.sql.streaming.stateStore.rocksdb.maxMemoryUsageMB": "64",
    # Every trigger has a row that tells the time, so there is always one more batch.
    "spark.sql.streaming.noDataMicroBatches.enabled": "false",
}
"""Spark's configuration for the query's state."""

SKETCH_BITS = 12
"""Distinct users: HyperLogLog with 2^12 registers."""

USERS_ERROR = 0.05
"""Relative error of distinct users: three standard errors, 3 * 1.04 / sqrt(2^12), so 99.7% of windows are within it.
Source: Flajolet et al., "HyperLogLog", 2007; Apache DataSketches, which Spark uses, is better for small counts."""

ACCURACY = 1_000
RANK_ERROR = 0.005
"""Percentiles: the answer is a duration that occurred, and its rank is off by at most this share of all durations.
Greenwald and Khanna's summary of one batch is within 1 / ACCURACY; merging the summaries of many may add to that."""

QUANTILES = (0.5, 0.95, 0.99)


def count_windows(records: DataFrame, task: WindowsTaskSpec, task_stats: Any, seconds: int) -> DataFrame:
    """Finished windows by service; the amounts of each currency are rows of their own beside the window's."""
    from pyspark.sql import functions as F

    events = record_columns(records, keys=False).mapInArrow(
        partial(event_rows, task=task, task_stats=task_stats), ROW_DDL
    )
    # A row every trigger, whose time is the watermark: Spark's follows it, and nothing else, as that of a union is that
    # of its first part.
    source = records.sparkSession.readStream.format("rate-micro-batch")
    ticks = source.option("rowsPerBatch", "1").option("numPartitions", "1").load().mapInArrow(clock_rows, ROW_DDL)
    return (
        ticks.withWatermark("time", "0 seconds")
        .unionByName(events)
        .groupBy(F.window("time", f"{seconds} seconds").alias("window"), "service", "money")
        .agg(
            F.count("*").alias("events"),
            *(F.count_if(F.col("level") == level).alias(f"level_{level}") for level in LEVELS),
            F.hll_sketch_estimate(F.hll_sketch_agg("user", SKETCH_BITS)).alias("users"),
            F.count("duration").alias("durations"),
            F.percentile_approx("duration", list(QUANTILES), ACCURACY).alias("quantiles"),
            F.count_if(F.col("paid") == "payment").alias("payments"),
            F.count_if(F.col("paid") == "refund").alias("refunds"),
            F.sum("amount").alias("amount"),
            F.max("scale").alias("scale"),
            F.max("appended").alias("appended"),
        )
        .withColumn("start", F.unix_micros("window.start"))
        .drop("window")
    )
