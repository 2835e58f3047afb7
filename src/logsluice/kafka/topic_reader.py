"""A consumer that reads a topic batch by batch for one process, from its group's committed offsets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any, TypeAlias, TypeVar

import structlog
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors

from logsluice.kafka.clients import admin, consumer, is_unavailable
from logsluice.kafka.offsets import Offsets, commit_offsets, lag, starting_offsets
from logsluice.kafka.topics import Topic, wait_for_topic
from logsluice.runtime.retry import RetryContext, StoppedError, retry_on_unavailable
from logsluice.settings import Settings

ConsumerRecord: TypeAlias = Any
"""kafka-python's named tuple: ``topic partition offset timestamp key value headers`` and more."""

T = TypeVar("T")

_POLL_MS = 500
_CHECK_SECONDS = 2.0
_LAG_SECONDS = 5.0
_AGAIN_SECONDS = 0.5
_FETCH_BYTES = 16_777_216

log = structlog.get_logger(__name__)


class TopicReader:
    """Reads a topic from where its group left off; what was read counts as done when it is committed.

    It is given its partitions by hand, so that a killed process goes on at once when it is started again, instead of
    after the group's session has timed out. It takes every partition: run one process a group.

    The topic is looked at again with every batch. When it was deleted and made again, this says so and starts at its
    earliest offset; when it has grown new partitions, they are read too.
    """

    def __init__(
        self,
        settings: Settings,
        topic: str,
        group: str,
        *,
        job: str,
        stop: Event,
        max_records: int = 10_000,
    ) -> None:
        self._settings = settings
        self._name = topic
        self._group = group
        self._job = job
        self._stop = stop
        self._admin: KafkaAdminClient = admin(settings, job=job, stop=stop)
        self._consumer: KafkaConsumer = consumer(
            settings, job=job, stop=stop, max_poll_records=max_records, fetch_max_bytes=_FETCH_BYTES
        )
        self._topic: Topic | None = None
        self._last: Topic | None = None
        self._processed: Offsets = {}
        self._checked = self._measured = 0.0

    def batches(self) -> Iterator[list[ConsumerRecord]]:
        """The records of each poll that has any, until ``stop`` is set; each is committed when the next is wanted.

        Raises:
            LogsluiceError: The broker refuses the credentials.
            StoppedError: The process is to stop while the broker or the topic is not there.
        """
        while not self._stop.is_set():
            if records := self.poll():
                yield records
                self.commit()

    def poll(self) -> list[ConsumerRecord]:
        """The next records, of one partition after the other, each in order; empty after half a second with none.

        Raises:
            LogsluiceError: The broker refuses the credentials.
            StoppedError: The process is to stop while the broker or the topic is not there.
        """
        if self._topic is None:
            self._start()
        try:
            batches = self._consumer.poll(timeout_ms=_POLL_MS)
        except (kafka_errors.OffsetOutOfRangeError, kafka_errors.LogTruncationError):
            # The second is how the client may see a topic that was made again: its log is shorter than it was.
            self._topic = None
            return []
        if (batches or time.monotonic() - self._checked > _CHECK_SECONDS) and not self._is_same_topic():
            return []
        if not batches:
            self._measure_lag()
        records: list[ConsumerRecord] = []
        for partition, batch in batches.items():
            records += batch
            self._processed[partition.partition] = batch[-1].offset + 1
        return records

    def commit(self) -> None:
        """Everything polled so far was dealt with: commit its offsets.

        Raises:
            StoppedError: The process is to stop while the broker is away; the records will be read again.
        """
        topic = self._topic
        if topic is None or not self._processed:
            return
        self._request(lambda: commit_offsets(self._admin, self._group, topic, self._processed))
        self._processed = {}
        self._measure_lag()

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close(autocommit=False, timeout_ms=1_000)
        self._admin.close()

    def _start(self) -> None:
        while self._topic is None:
            topic = self._described()
            offsets = self._request(lambda topic=topic: starting_offsets(self._admin, self._group, topic))  # type: ignore[misc]
            if offsets is None:
                if self._stop.wait(_AGAIN_SECONDS):
                    raise StoppedError
                continue
            if self._last is not None and self._last.id != topic.id:
                log.warning("the topic was deleted and made again", topic=self._name, group=self._group)
            partitions = {TopicPartition(self._name, number): offset for number, offset in offsets.items()}
            self._consumer.assign(list(partitions))
            for partition, offset in partitions.items():
                self._consumer.seek(partition, offset)
            self._topic, self._last, self._processed = topic, topic, {}
            log.info("reading", topic=self._name, group=self._group, offsets=offsets)

    def _is_same_topic(self) -> bool:
        """Look at the topic again; where it is another, what was read of it is dropped and it is read anew."""
        current = self._described()
        self._checked = time.monotonic()
        if current == self._topic:
            return True
        self._topic = None
        return False

    def _measure_lag(self) -> None:
        topic = self._topic
        if topic is not None and time.monotonic() - self._measured > _LAG_SECONDS:
            self._request(lambda: lag(self._admin, self._group, topic))
            self._measured = time.monotonic()

    def _described(self) -> Topic:
        return wait_for_topic(self._settings, self._name, job=self._job, stop=self._stop, client=self._admin)

    def _request(self, request: Callable[[], T]) -> T | None:
        """What the broker answers, waited for where it is away.

        None where it does not know what the request is about: the topic is gone or has other partitions by now, and
        is looked at again.
        """
        try:
            return retry_on_unavailable(
                request,
                lambda error: (
                    is_unavailable(error) and not isinstance(error, kafka_errors.UnknownTopicOrPartitionError)
                ),
                RetryContext(
                    "kafka", f"{self._settings.kafka.bootstrap_servers}, topic {self._name}", self._job, stop=self._stop
                ),
            )
        except kafka_errors.UnknownTopicOrPartitionError:
            self._topic = None
            return None


def read_between(
    reader: KafkaConsumer, topic: Topic, start: Offsets, end: Offsets, stop: Event | None = None
) -> Iterator[ConsumerRecord]:
    """The records of a topic from some offsets up to others, each partition's in order.

    Raises:
        StoppedError: ``stop`` was set.
        kafka.errors.KafkaError: The broker went away.
    """
    remaining = {
        number: TopicPartition(topic.name, number) for number in topic.partitions if start[number] < end[number]
    }
    reader.assign(list(remaining.values()))
    for number, partition in remaining.items():
        reader.seek(partition, start[number])
    while remaining:
        if stop is not None and stop.is_set():
            raise StoppedError
        for partition, records in reader.poll(timeout_ms=_POLL_MS).items():
            yield from (record for record in records if record.offset < end[partition.partition])
        remaining = {n: partition for n, partition in remaining.items() if reader.position(partition) < end[n]}
