"""Hands records to Kafka from an event loop, and tells where each was stored.

This is the one place that uses confluent-kafka: beside a broker on two cores, kafka-python's producer has not the time
for a few thousand single posts a second. The event loop itself collects the reports, a thousand times a second while
records are on their way, so that no thread competes for the interpreter.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final, NamedTuple

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from logsluice.api.background import in_background
from logsluice.kafka.options import librdkafka_options
from logsluice.settings import Settings

_LINGER_MS: Final = 5
_POLL_SECONDS: Final = 0.001
_IDLE_SECONDS: Final = 0.25
_MAX_RECORDS: Final = 200_000
_MAX_KBYTES: Final = 262_144
_MAX_RECORD_BYTES: Final = 1_048_576
_FLUSH_SECONDS: Final = 5.0
_YIELD_EVERY: Final = 500
_TOO_LARGE: Final = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE)

log = structlog.get_logger(__name__)


class Record(NamedTuple):
    """What is handed to Kafka.

    Attributes:
        value: The event.
        key: The service, whose events stay in order, or, of a long name, its bounded id; None where there is none.
        headers: Length and hash of the original where it was cut, and what the event is found by.
    """

    value: bytes
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Stored(NamedTuple):
    """Where Kafka has a record, and its timestamp in milliseconds since the epoch."""

    partition: int
    offset: int
    timestamp_ms: int


class Undelivered(NamedTuple):
    """A record that Kafka did not acknowledge.

    Attributes:
        reason: Why.
        away: Whether that may be over later, as when the broker is down; otherwise the record itself is refused.
        sent: Whether it may be stored all the same.
    """

    reason: str
    away: bool
    sent: bool


Outcome = Stored | Undelivered


class _Delivery:
    """The reports of records that were handed over together."""

    __slots__ = ("done", "outcomes", "pending")

    def __init__(self, count: int, done: asyncio.Future[None]) -> None:
        self.outcomes: list[Outcome | None] = [None] * count
        self.pending = count
        self.done = done

    def report(self, index: int, error: KafkaError | None, message: Message) -> None:
        self.settle(index, _outcome(error, message))

    def settle(self, index: int, outcome: Outcome) -> None:
        self.outcomes[index] = outcome
        self.pending -= 1
        if not self.pending and not self.done.done():
            self.done.set_result(None)


class EventProducer:
    """An idempotent producer with ``acks=all`` to the topic of the settings.

    A record that is not acknowledged in ``api.delivery_seconds`` is given up.

    Raises:
        LogsluiceError: The file of trusted certificates is not there.
    """

    def __init__(self, settings: Settings) -> None:
        self._options = librdkafka_options(settings) | {
            "acks": "all",
            "enable.idempotence": True,
            "compression.type": "zstd",
            "linger.ms": _LINGER_MS,
            "message.timeout.ms": round(settings.api.delivery_seconds * 1_000),
            "message.max.bytes": 2 * _MAX_RECORD_BYTES,
            "queue.buffering.max.messages": _MAX_RECORDS,
            "queue.buffering.max.kbytes": _MAX_KBYTES,
            # As Kafka's own client and kafka-python place keys.
            "partitioner": "murmur2_random",
            "error_cb": self._on_error,
        }
        self._topic = settings.kafka.topic
        self._broken = False
        self._in_flight = 0
        self._busy = asyncio.Event()
        self._producer = self._new_producer()

    @classmethod
    @asynccontextmanager
    async def opened(cls, settings: Settings) -> AsyncIterator[EventProducer]:
        """A producer that is looked after until it is closed; then what is on its way has a moment to arrive."""
        producer = cls(settings)
        try:
            async with in_background(producer._pump()):
                yield producer
        finally:
            await asyncio.to_thread(producer._producer.flush, _FLUSH_SECONDS)

    async def send(self, records: Sequence[Record]) -> list[Outcome]:
        """Hand records over, in order, and wait until each is acknowledged or given up."""
        if not records:
            return []
        delivery = _Delivery(len(records), asyncio.get_running_loop().create_future())
        self._in_flight += 1
        self._busy.set()
        try:
            for index, record in enumerate(records):
                self._hand_over(delivery, index, record)
                if index % _YIELD_EVERY == _YIELD_EVERY - 1:
                    await asyncio.sleep(0)
            await delivery.done
        finally:
            self._in_flight -= 1
        return [outcome for outcome in delivery.outcomes if outcome is not None]

    def _hand_over(self, delivery: _Delivery, index: int, record: Record) -> None:
        try:
            self._producer.produce(
                self._topic,
                record.value,
                record.key,
                on_delivery=partial(delivery.report, index),
                headers=list(record.headers) if record.headers else None,
            )
        except BufferError:
            delivery.settle(index, Undelivered("too many events wait for Kafka", away=True, sent=False))
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            self._broken = self._broken or reason.code() == KafkaError._FATAL
            delivery.settle(index, Undelivered(reason.str(), away=reason.code() not in _TOO_LARGE, sent=False))

    async def _pump(self) -> None:
        """Collect reports: often while records are on their way, now and then otherwise."""
        while True:
            if self._in_flight:
                await asyncio.sleep(_POLL_SECONDS)
            else:
                self._busy.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_IDLE_SECONDS):
                        await self._busy.wait()
            self._producer.poll(0)
            if self._broken and not self._in_flight:
                self._producer, self._broken = self._new_producer(), False

    def _new_producer(self) -> Producer:
        return Producer(self._options, logger=logging.getLogger("kafka.librdkafka"))

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            # Such a producer takes nothing more; another takes its place when its last reports are in.
            log.error("the producer has failed: another takes its place", reason=error.str())
            self._broken = True


def _outcome(error: KafkaError | None, message: Message) -> Outcome:
    if error is not None:
        return Undelivered(error.str(), away=error.code() not in _TOO_LARGE, sent=error.code() not in _TOO_LARGE)
    partition, offset = message.partition(), message.offset()
    _, timestamp_ms = message.timestamp()
    if partition is None or offset is None or offset < 0 or timestamp_ms <= 0:
        # What was sent twice and kept once may be acknowledged without its place: no id, so no success.
        return Undelivered("Kafka acknowledged without an offset", away=True, sent=True)
    return Stored(partition, offset, timestamp_ms)
