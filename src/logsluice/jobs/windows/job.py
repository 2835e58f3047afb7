"""The windows job: what happened in every minute, by service."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import structlog

from logsluice.elasticsearch.bulk import BulkWriter
from logsluice.elasticsearch.client import connect, wait_for_templates
from logsluice.errors import LogsluiceError
from logsluice.extract import load_registry
from logsluice.jobs.spark.extractor_spec import ExtractorSpec
from logsluice.jobs.spark.object_store import Store
from logsluice.jobs.spark.session import kafka_jars, spark_session
from logsluice.jobs.spark.streaming_query import Run, StreamingQueryJob
from logsluice.jobs.windows import tables
from logsluice.jobs.windows.clock import HOUR, Clock, PartitionStatus, WindowRules, next_watermark
from logsluice.jobs.windows.events import CLOCK_PROPERTY, TaskStats, TaskStatsParam, WindowsTaskSpec
from logsluice.jobs.windows.files import HourFiles
from logsluice.jobs.windows.frames import STATE, count_windows
from logsluice.kafka.offsets import earliest_offsets, latest_offsets
from logsluice.kafka.topics import describe_topic
from logsluice.runtime import metrics
from logsluice.runtime.metrics import serve_metrics
from logsluice.runtime.retry import StoppedError
from logsluice.settings import Settings

if TYPE_CHECKING:
    from kafka import KafkaAdminClient
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming import StreamingQueryProgress

JOB = "windows"
GROUP = "logsluice-windows"
DESTINATION = "windows"

_CLOCKS = 100
_DAY = 24 * HOUR

log = structlog.get_logger(__name__)


class WindowsJob(StreamingQueryJob):
    """Counts a topic's events in windows.

    A batch is done in this order: the workers extract, put late events aside and keep all in files; Spark counts;
    the driver writes what is finished, and last, into the checkpoint, the clock for the next batch. All of it is
    the same when it is done again.

    Args:
        spark: The session, with :data:`~logsluice.jobs.windows.frames.STATE` in its configuration.
        until_caught_up: End when all is read, and closed because nothing more came.
    """

    job = JOB
    group = GROUP

    def __init__(
        self,
        spark: SparkSession,
        settings: Settings,
        extractor_spec: ExtractorSpec,
        *,
        until_caught_up: bool,
        stop: Event,
    ) -> None:
        windows = settings.windows
        super().__init__(
            spark,
            settings,
            # What was counted in windows of another length is of no use.
            checkpoints=f"windows-{windows.window_seconds}s",
            size=windows.max_offsets_per_trigger,
            trigger_seconds=windows.trigger_seconds,
            # What is read has to be closed as well, which takes time.
            until_caught_up=False,
            stop=stop,
        )
        self._until_caught_up = until_caught_up
        self._extractor_spec = extractor_spec
        self._rules = WindowRules.of(settings.windows)
        self._writer = BulkWriter(settings.elasticsearch, job=JOB, stop=stop)
        self._task_stats = spark.sparkContext.accumulator({}, TaskStatsParam())
        self._clock = Clock()
        self._began = time.monotonic()
        self._last_read: dict[int, float] = {}
        self._caught_up = False

    def is_done(self) -> bool:
        """Whether there is nothing to read and nothing open."""
        return self._until_caught_up and self._caught_up

    def query(self, stream: DataFrame, run: Run) -> DataFrame:
        """From records to finished windows."""
        self._files = HourFiles(self._settings.windows_output, run.topic.id)
        self._files.publish_remaining()
        self._checkpointed = Store(self.checkpoint(run))
        self._set_clock(_last_clock(self._checkpointed))
        self._task_stats.value = {}
        self._began, self._last_read = time.monotonic(), {}
        settings = self._settings
        task = WindowsTaskSpec(run.topic.name, run.topic.id, self._extractor_spec, self._rules, settings.windows_output)
        return count_windows(stream, task, self._task_stats, settings.windows.window_seconds)

    def write(self, frame: DataFrame, batch: int, run: Run, client: KafkaAdminClient) -> int:
        """Write the windows that this batch finished."""
        rows = [row.asDict() for row in frame.collect()]
        finished = self._task_stats.value.items()
        read = {partition: stats for (number, partition), stats in finished if number == batch}
        self._task_stats.value = {}
        before = self._clock
        clock = Clock(before.partitions | {partition: stats.clock for partition, stats in read.items()})
        statuses = self._partition_status(client, run, clock, read)
        clock.watermark = next_watermark(Clock(clock.partitions, before.watermark), statuses, self._rules)
        # The row that tells Spark the time had this batch's watermark.
        clock.closed = before.watermark
        late = {key for stats in read.values() for key in stats.late} | set(before.waiting)
        clock.waiting = sorted(key for key in late if not self._is_closed(key))
        self._write_windows(rows, late)
        if clock.watermark is not None:
            self._files.publish(before.watermark, clock.watermark)
        self._checkpointed.write(_clock_file(batch), clock.to_json())
        self._checkpointed.delete(_clock_file(batch - _CLOCKS))
        self._caught_up = not any(status.behind for status in statuses.values()) and self._has_closed_all_of(clock)
        self._set_clock(clock)
        return _count_metrics(read)

    def record_progress(self, progress: StreamingQueryProgress) -> None:
        """How large the state is."""
        operators = progress.stateOperators
        size = sum(entry.memoryUsedBytes + entry.customMetrics.get("rocksdbSstFileSize", 0) for entry in operators)
        metrics.STATE_ROWS.labels(JOB).set(sum(entry.numRowsTotal for entry in operators))
        metrics.STATE_BYTES.labels(JOB).set(size)

    def _set_clock(self, clock: Clock) -> None:
        """Make a clock that of the next batch."""
        self._clock = clock
        shipped = Clock(clock.partitions, clock.watermark)
        self._spark.sparkContext.setLocalProperty(CLOCK_PROPERTY, shipped.to_json().decode())

    def _is_closed(self, key: tables.Key) -> bool:
        """Whether a window has been written by now, if it had any events in time."""
        return self._clock.closed is not None and key[0] + self._rules.window <= self._clock.closed

    def _has_closed_all_of(self, clock: Clock) -> bool:
        latest = [entry.latest for entry in clock.partitions.values()]
        return not latest or self._is_closed((max(latest) // self._rules.window * self._rules.window, ""))

    def _partition_status(
        self, client: KafkaAdminClient, run: Run, clock: Clock, read: dict[int, TaskStats]
    ) -> dict[int, PartitionStatus]:
        topic = self._wait_for_kafka(lambda: describe_topic(client, run.topic.name))
        latest = self._wait_for_kafka(lambda: latest_offsets(client, topic))
        position = {number: entry.offset for number, entry in clock.partitions.items()}
        if latest.keys() - position.keys():
            position = self._wait_for_kafka(lambda: earliest_offsets(client, topic)) | position
        now = time.monotonic()
        self._last_read |= dict.fromkeys(read, now)
        return {
            number: PartitionStatus(
                end > position[number], round((now - self._last_read.get(number, self._began)) * 1e6)
            )
            for number, end in latest.items()
        }

    def _write_windows(self, rows: list[dict[str, Any]], late: set[tables.Key]) -> None:
        """Write finished windows, and the number of late events of windows that were finished before."""
        finished = tables.finished_windows(rows, self._rules.window)
        behind = {key for key in late if self._is_closed(key)} - finished.rows.keys()
        hours = {key[0] // HOUR * HOUR for key in behind | finished.rows.keys()}
        if not hours:
            return
        counts = self._files.late_counts(sorted(hours))
        for key, row in finished.rows.items():
            row["late"] = counts[key]
        stored = self._files.windows_of({key[0] // HOUR * HOUR for key in behind}) if behind else {}
        empty = {key: tables.empty_window(key, self._rules.window) for key in behind}
        changed = [row | {"late": counts[key]} for key, row in (empty | stored).items() if key in behind]
        self._files.write_windows(tables.windows_frame([*finished.rows.values(), *changed]))
        alias = self._settings.windows_index
        actions = [tables.index_action(row, alias) for row in (*finished.rows.values(), *changed) if row["events"]]
        # Old days have no index any more, and should not get one again for this.
        oldest = time.time() * 1e6 - self._settings.elasticsearch.retention_days * _DAY
        unseen = [row for row in changed if not row["events"] and row["start"] > oldest]
        actions += [tables.late_action(row, alias) for row in unseen]
        outcome = self._writer.write(actions)
        for rejected in outcome.rejected:
            metrics.DROPPED_DOCUMENTS.labels(JOB, DESTINATION).inc()
            log.error("elasticsearch refuses a window", window=rejected.action.id, reason=rejected.reason)
        _note_written(finished)

    def close(self) -> None:
        """Close the connection to Elasticsearch."""
        self._writer.close()


def run_windows(
    settings: Settings,
    directory: Path | None,
    *,
    stop: Event,
    until_caught_up: bool = False,
    metrics_port: int | None = None,
) -> None:
    """Run the job until it is done or asked to stop.

    Args:
        until_caught_up: End when all is read, and closed because nothing more came.
        metrics_port: Where ``/metrics`` is served; ``settings.metrics.windows`` where left out.

    Raises:
        LogsluiceError: The registry is wrong, the port taken, Java missing, or a server refuses.
    """
    with suppress(StoppedError):
        registry = load_registry(directory)
        extractor_spec = ExtractorSpec.of(registry, settings.time_zone)
        Store(settings.windows_output)
        serve_metrics(settings.metrics.host, metrics_port or settings.metrics.windows)
        with closing(connect(settings.elasticsearch)) as client:
            wait_for_templates(client, settings.elasticsearch, [settings.windows_index], job=JOB, stop=stop)
        log_file = settings.home.absolute() / "logs" / "spark-windows.log"
        with spark_session("logsluice windows", log_file=log_file, jars=kafka_jars(), conf=STATE) as spark:
            job = WindowsJob(spark, settings, extractor_spec, until_caught_up=until_caught_up, stop=stop)
            with closing(job):
                job.run()


def _clock_file(batch: int) -> str:
    return f"clock/{batch}.json"


def _last_clock(checkpoint: Store) -> Clock:
    """The clock after the last batch that Spark knows as finished.

    Raises:
        LogsluiceError: It is not there.
    """
    finished_batches = [int(name) for name in checkpoint.names("commits") if name.isdigit()]
    if not finished_batches:
        return Clock()
    content = checkpoint.read(_clock_file(max(finished_batches)))
    if content is None:
        raise LogsluiceError(
            "the checkpoint is damaged",
            where=_clock_file(max(finished_batches)),
            why="there is no such file in it",
            hint="delete the checkpoint: the topic is then read again from its earliest offset",
        )
    return Clock.from_json(content)


def _count_metrics(task_stats: dict[int, TaskStats]) -> int:
    """Add what the tasks told to this process's metrics; the events in all."""
    for stats in task_stats.values():
        metrics.EVENTS_IN.labels(JOB).inc(stats.events)
        metrics.LATE_EVENTS.labels(JOB).inc(stats.late.total())
        metrics.UNTIMED_EVENTS.labels(JOB).inc(stats.untimed)
        metrics.UNREADABLE_AMOUNTS.labels(JOB).inc(stats.amounts)
        for reason, number in stats.unreadable.items():
            metrics.UNREADABLE_EVENTS.labels(JOB, reason).inc(number)
    return sum(stats.events for stats in task_stats.values())


def _note_written(finished: tables.FinishedWindows) -> None:
    metrics.WINDOWS_WRITTEN.labels(JOB).inc(len(finished.rows))
    metrics.EVENTS_OUT.labels(JOB, DESTINATION).inc(sum(row["events"] for row in finished.rows.values()))
    for appended in finished.appended.values():
        metrics.END_TO_END_LATENCY.labels(JOB).observe(max(time.time() - appended / 1e6, 0.0))
