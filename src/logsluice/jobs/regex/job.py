"""The regex job: facts out of the topic as they come, for latency or for throughput, or out of what is stored.

Every document is written under the event's own id, so that a batch which is written again changes nothing.
"""

from __future__ import annotations

from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Literal

import structlog

from logsluice.elasticsearch.client import connect, wait_for_templates
from logsluice.extract import load_registry
from logsluice.jobs.regex.batch import reprocess_logs_index, reprocess_topic
from logsluice.jobs.regex.stats import JOB, count
from logsluice.jobs.regex.workers import RegexTaskSpec, write_frame
from logsluice.jobs.spark.batch_size import next_batch_size
from logsluice.jobs.spark.checkpoints import GROUP, REGEX
from logsluice.jobs.spark.extractor_spec import ExtractorSpec
from logsluice.jobs.spark.passwords import leave_this_machine
from logsluice.jobs.spark.session import kafka_jars, spark_session
from logsluice.jobs.spark.streaming_query import Run, StreamingQueryJob
from logsluice.runtime.metrics import serve_metrics
from logsluice.runtime.retry import StoppedError
from logsluice.settings import ProcessingMode, Settings

if TYPE_CHECKING:
    from kafka import KafkaAdminClient
    from pyspark.sql import DataFrame, SparkSession

Source = Literal["kafka", "logs"]

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


def run_regex(
    settings: Settings,
    directory: Path | None,
    *,
    stop: Event,
    mode: ProcessingMode | None = None,
    source: Source = "kafka",
    since: datetime | None = None,
    until_caught_up: bool = False,
    metrics_port: int | None = None,
) -> None:
    """Run the job until it is done or asked to stop.

    Args:
        mode: ``settings.processing_mode`` where left out.
        source: ``batch`` reads Kafka, or the logs index past Kafka's retention.
        since: ``batch`` leaves out events that Kafka appended before.
        until_caught_up: ``stream`` and ``optimized`` end when all was read that was there at the start.
        metrics_port: Where ``/metrics`` is served; ``settings.metrics.regex`` where left out.

    Raises:
        LogsluiceError: The registry is wrong, the port taken, Java missing, or a server refuses.
    """
    mode = mode or settings.processing_mode
    extractor_spec = ExtractorSpec.of(load_registry(directory), settings.time_zone)
    serve_metrics(settings.metrics.host, metrics_port or settings.metrics.regex)
    log_file = settings.home.absolute() / "logs" / "spark-regex.log"
    with suppress(StoppedError):
        with closing(connect(settings.elasticsearch)) as client:
            wait_for_templates(client, settings.elasticsearch, [settings.results_index], job=JOB, stop=stop)
        with spark_session(f"logsluice regex, {mode}", log_file=log_file, jars=kafka_jars()) as spark:
            task = RegexTaskSpec(settings, extractor_spec, remote=leave_this_machine(spark.sparkContext))
            if mode != "batch":
                optimized = mode == "optimized"
                RegexStreamJob(spark, task, optimized=optimized, until_caught_up=until_caught_up, stop=stop).run()
            elif source == "kafka":
                reprocess_topic(spark, task, since=since, stop=stop)
            else:
                reprocess_logs_index(spark, task, since=since, stop=stop)
