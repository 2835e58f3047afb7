"""The regex job as a batch over what is stored: Kafka from its earliest to its latest offset, or the logs index.

Facts are written again under the events' own ids; those of a newer registry replace older ones, and an older
registry changes nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

import structlog
from kafka import TopicPartition
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from logsluice.errors import LogsluiceError
from logsluice.jobs.regex.stats import JOB, BatchStats, count
from logsluice.jobs.regex.stored_logs import LogRange, plan_ranges, read_range
from logsluice.jobs.regex.workers import RegexTaskSpec, write_frame, write_records
from logsluice.jobs.spark.failures import describe_error, permanent_error
from logsluice.kafka.clients import admin, retry_kafka
from logsluice.kafka.offsets import Offsets, earliest_offsets, latest_offsets
from logsluice.kafka.options import spark_kafka_options
from logsluice.kafka.topics import wait_for_topic
from logsluice.runtime import metrics
from logsluice.runtime.terminal import progress_bar

if TYPE_CHECKING:
    from kafka import KafkaAdminClient
    from pyspark.sql import SparkSession

    from logsluice.kafka.topics import Topic

_SLICE_EVENTS = 50_000
_MOST_FAILURES = 5
_LOG_EVERY_SECONDS = 10.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a topic that is read at once: from where to where, by partition."""

    start: Offsets
    end: Offsets

    @property
    def events(self) -> int:
        """How many offsets there are in it."""
        return sum(self.end[partition] - start for partition, start in self.start.items())


def slices(start: Offsets, end: Offsets, events: int = _SLICE_EVENTS) -> Iterator[Slice]:
    """Cut a topic into slices of about so many events, each with its share of every partition."""
    left = sum(max(0, end[partition] - start[partition]) for partition in start)
    count = max(1, -(-left // events)) if left else 0
    for number in range(count):
        cut = [
            {partition: begin + max(0, end[partition] - begin) * upto // count for partition, begin in start.items()}
            for upto in (number, number + 1)
        ]
        yield Slice(*cut)


def reprocess_topic(spark: SparkSession, task: RegexTaskSpec, *, since: datetime | None, stop: Event) -> None:
    """Read everything that the topic holds now and that was appended since then, until ``stop`` is set.

    Raises:
        LogsluiceError: A server refuses, the same fault came again and again, or the topic was deleted.
        StoppedError: The process was asked to stop while a server was away.
    """
    settings = task.settings
    with closing(admin(settings, job=JOB, stop=stop)) as client:
        topic = wait_for_topic(settings, settings.kafka.topic, job=JOB, stop=stop, client=client)
        start, end = retry_kafka(lambda: _bounds(client, topic, since), settings, job=JOB, stop=stop)
        todo = list(slices(start, end))
        with _progress(sum(part.events for part in todo)) as advance:
            for part in todo:
                if stop.is_set():
                    return
                _retry_failed_work(partial(_write_slice, spark, task, client, topic, part), stop)
                advance(part.events)


def reprocess_logs_index(spark: SparkSession, task: RegexTaskSpec, *, since: datetime | None, stop: Event) -> None:
    """Read the logs index, which may hold what Kafka has dropped already.

    Takes the same arguments and raises the same as :func:`reprocess_topic`.
    """
    cores = spark.sparkContext.defaultParallelism
    ranges = list(plan_ranges(task.settings, since, stop))
    with _progress(sum(entry.events for entry in ranges)) as advance:
        for first in range(0, len(ranges), 2 * cores):
            if stop.is_set():
                return
            group = ranges[first : first + 2 * cores]
            _retry_failed_work(partial(_write_ranges, spark, task, group), stop)
            advance(sum(entry.events for entry in group))


def _write_slice(
    spark: SparkSession, task: RegexTaskSpec, client: KafkaAdminClient, topic: Topic, part: Slice
) -> list[BatchStats]:
    now = wait_for_topic(task.settings, topic.name, job=JOB, client=client)
    if now.id != topic.id:
        raise LogsluiceError(
            "the topic was deleted and made again while it was read",
            where=topic.name,
            hint="start the job again to read the new one",
        )
    earliest = earliest_offsets(client, topic)
    start = {partition: max(offset, earliest[partition]) for partition, offset in part.start.items()}
    end = {partition: max(offset, start[partition]) for partition, offset in part.end.items()}
    if lost := part.events - Slice(start, end).events:
        log.error("events were removed by the topic's retention before they were read", events=lost)
    options = spark_kafka_options(task.settings, remote=task.remote) | {
        "subscribe": topic.name,
        "startingOffsets": _spark_offsets(topic, start),
        "endingOffsets": _spark_offsets(topic, end),
        "includeHeaders": "true",
        "minPartitions": str(2 * spark.sparkContext.defaultParallelism),
        "kafka.max.poll.records": "5000",
    }
    return write_frame(spark.read.format("kafka").options(**options).load(), topic.name, task)


def _write_ranges(spark: SparkSession, task: RegexTaskSpec, ranges: Sequence[LogRange]) -> list[BatchStats]:
    context = spark.sparkContext
    found = context.parallelize(ranges, len(ranges)).flatMap(partial(_write_range, task=task)).collect()
    return list(found)


def _write_range(entry: LogRange, *, task: RegexTaskSpec) -> list[BatchStats]:
    return [write_records(records, task) for records in read_range(entry, task.settings)]


def _retry_failed_work(function: Callable[[], list[BatchStats]], stop: Event) -> None:
    """Do a piece of work, again where it failed: what is written twice is written once."""
    for failures in range(1, _MOST_FAILURES + 1):
        began = time.monotonic()
        try:
            count(function())
        except LogsluiceError:
            raise
        except Exception as error:
            if refused := permanent_error(error):
                raise LogsluiceError(refused) from None
            if failures == _MOST_FAILURES or stop.is_set():
                raise LogsluiceError(f"failed {failures} times in a row", why=describe_error(error)) from None
            log.warning("a part of the work failed and is done again", reason=describe_error(error))
            stop.wait(2.0**failures)
        else:
            metrics.BATCH_DURATION.labels(JOB).observe(time.monotonic() - began)
            return


def _bounds(client: KafkaAdminClient, topic: Topic, since: datetime | None) -> tuple[Offsets, Offsets]:
    end = latest_offsets(client, topic)
    return _offsets_since(client, topic, since, end) if since else earliest_offsets(client, topic), end


def _offsets_since(client: KafkaAdminClient, topic: Topic, since: datetime, latest: Offsets) -> Offsets:
    """The first offset of each partition that was appended at that time or later."""
    moment = int(since.timestamp() * 1000)
    found = client.list_partition_offsets(
        {TopicPartition(topic.name, partition): moment for partition in topic.partitions}
    )
    return {
        partition.partition: entry.offset if entry.offset >= 0 else latest[partition.partition]
        for partition, entry in found.items()
    }


def _spark_offsets(topic: Topic, offsets: Offsets) -> str:
    return json.dumps({topic.name: {str(partition): offset for partition, offset in offsets.items()}})


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Show progress towards ``total`` events; gives a function that takes how many more are done."""
    began = logged_at = time.monotonic()
    done = 0
    columns = (TextColumn("events"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    bar = progress_bar(*columns, transient=False)

    def advance(events: int) -> None:
        nonlocal done, logged_at
        done += events
        bar.advance(task, events)
        if bar.disable and time.monotonic() - logged_at > _LOG_EVERY_SECONDS:
            logged_at = time.monotonic()
            log.info("progress", events=done, of=total, percent=round(100 * done / total, 1))

    with bar:
        task = bar.add_task("", total=total)
        yield advance
    seconds = max(time.monotonic() - began, 1e-9)
    log.info("done", events=done, seconds=round(seconds, 1), events_per_second=round(done / seconds))
