"""A producer with a bounded number of records in flight, acknowledged in the order they were sent."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from threading import Event
from typing import Any, Final, Generic, NamedTuple, TypeVar

import structlog
from kafka import KafkaProducer
from kafka import errors as kafka_errors

from logsluice.errors import LogsluiceError
from logsluice.kafka.clients import producer
from logsluice.kafka.kafka_python import abandon
from logsluice.settings import Settings

MAX_RECORDS: Final = 20_000
MAX_BYTES: Final = 32 * 1024 * 1024
_RECORD_OVERHEAD: Final = 200
_STALLED_SECONDS: Final = 5.0
_LOG_EVERY_SECONDS: Final = 15.0
_CLOSE_SECONDS: Final = 5.0

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Acknowledged(NamedTuple, Generic[T]):
    """A record that the broker has stored."""

    tag: T
    partition: int
    offset: int


class OrderedProducer(Generic[T]):
    """Sends records to one topic and keeps at most so many unacknowledged.

    kafka-python's producer buffers without bound; this one makes the sender wait for the broker. While the
    broker is away it waits, and says so.

    Raises:
        LogsluiceError: The broker refuses the credentials.
        StoppedError: ``stop`` was set while the broker was waited for.
    """

    def __init__(self, settings: Settings, topic: str, *, job: str, stop: Event) -> None:
        self._producer: KafkaProducer = producer(settings, job=job, stop=stop)
        self._topic = topic
        self._where = f"{settings.kafka.bootstrap_servers}, topic {topic}"
        self._queue: deque[tuple[Any, int, T]] = deque()
        self._bytes = 0
        self._moved_at = time.monotonic()
        self._warned_at: float | None = None

    @property
    def in_flight(self) -> int:
        """How many records are sent and not acknowledged."""
        return len(self._queue)

    @property
    def full(self) -> bool:
        """Whether the next record has to wait for an acknowledgement."""
        return len(self._queue) >= MAX_RECORDS or self._bytes >= MAX_BYTES

    def send(self, tag: T, value: bytes, key: bytes | None, headers: list[tuple[str, bytes]]) -> None:
        """Hand a record over; the caller collects acknowledgements before it sends when this is full."""
        future = self._producer.send(self._topic, value, key=key, headers=headers)
        size = len(value) + _RECORD_OVERHEAD
        if not self._queue:
            self._moved_at = time.monotonic()
        self._queue.append((future, size, tag))
        self._bytes += size

    def collect(self) -> Iterator[Acknowledged[T]]:
        """The records at the front of the queue that are acknowledged by now.

        Raises:
            LogsluiceError: The broker refuses a record.
        """
        queue = self._queue
        while queue and queue[0][0].is_done:
            future, size, tag = queue.popleft()
            self._bytes -= size
            error = future.exception
            if error is not None:
                raise LogsluiceError(
                    "the broker refuses a record",
                    where=self._where,
                    why=f"{type(error).__name__}: {error}",
                )
            stored = future.value
            yield Acknowledged(tag, stored.partition, stored.offset)

    def wait(self, seconds: float) -> None:
        """Wait so long at most for the oldest record's acknowledgement; says when there is none for long."""
        if not self._queue:
            return
        with suppress(kafka_errors.KafkaError):  # a timeout, or what collecting tells
            self._queue[0][0].get(timeout=seconds)
        now = time.monotonic()
        if self._queue[0][0].is_done:
            if self._warned_at is not None:
                log.info("kafka answers again", where=self._where)
            self._warned_at = None
            self._moved_at = now
        elif now - self._moved_at > _STALLED_SECONDS and (
            self._warned_at is None or now - self._warned_at > _LOG_EVERY_SECONDS
        ):
            self._warned_at = now
            log.warning("waiting for kafka", where=self._where, waited_seconds=round(now - self._moved_at, 1))

    def close(self) -> None:
        """Leave; what is not acknowledged may or may not be stored."""
        if self._queue:
            abandon(self._producer, _CLOSE_SECONDS)
        else:
            self._producer.close(timeout=_CLOSE_SECONDS)
