"""The regex job's streaming query over a growing topic: ``stream`` for latency, ``optimized`` for throughput.

Every document is written under the event's own id, so that a batch which is written again changes nothing.
"""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING

import structlog

from logsluice.jobs.regex.stats import JOB, count
from logsluice.jobs.regex.workers import RegexTaskSpec, write_frame
from logsluice.jobs.spark.batch_size import next_batch_size
from logsluice.jobs.spark.checkpoints import GROUP, REGEX
from logsluice.jobs.spark.streaming_query import Run, StreamingQueryJob

if TYPE_CHECKING:
    from kafka import KafkaAdminClient
    from pyspark.sql import DataFrame, SparkSession

log = structlog.get_logger(__name__)


class RegexStreamJob(StreamingQueryJob):
    """Extracts from a topic to its end, and on.

    Args:
        until_caught_up: End when all was read that was there at the start.
        stop: Ends the job; the running batch is finished first where it does not take long.
    """

    job = JOB
    group = GROUP

    def __init__(
        self, spark: SparkSession, task: RegexTaskSpec, *, optimized: bool, until_caught_up: bool, stop: Event
    ) -> None:
        stream = task.settings.stream
        super().__init__(
            spark,
            task.settings,
            checkpoints=REGEX,
            size=stream.optimized_max_offsets_per_trigger if optimized else stream.max_offsets_per_trigger,
            trigger_seconds=0.0 if optimized else stream.trigger_seconds,
            until_caught_up=until_caught_up,
            stop=stop,
            # Partitions split over all cores where throughput is wanted.
            reader_options={"minPartitions": str(spark.sparkContext.defaultParallelism)} if optimized else {},
            log_fields={"mode": "optimized" if optimized else "stream"},
        )
        self._task = task
        self._optimized = optimized

    def write(self, frame: DataFrame, batch: int, run: Run, client: KafkaAdminClient) -> int:  # noqa: ARG002
        """Extract and write on the workers."""
        return count(write_frame(frame, run.topic.name, self._task))

    def wants_restart(self, run: Run) -> bool:
        """Also where batches should have another size, by the speed that was measured."""
        if super().wants_restart(run):
            return True
        if not self._optimized:
            return False
        target = self._settings.stream.optimized_target_seconds
        size = next_batch_size(run.size, run.measured, target)
        if size == run.size:
            return False
        speed = sum(batch.events for batch in run.measured) / sum(batch.seconds for batch in run.measured)
        log.info(
            "changing the size of a batch",
            events_per_second=round(speed),
            events_a_batch=size,
            before=run.size,
        )
        self._size = size
        return True
