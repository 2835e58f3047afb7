"""Finds in the topic which events of posts are stored whose delivery was never acknowledged."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from logsluice.api.background import Batcher
from logsluice.api.ingest.producer import Record, Stored
from logsluice.api.ingest.topic_offsets import DeliveryAttempt, TopicOffsets
from logsluice.kafka.options import librdkafka_options
from logsluice.settings import Settings

MARK: Final = "logsluice-post"
"""Record header ``<id of the post>:<number of the event in it>``, on what may have to be looked for."""

_SETTLE_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.5
_ANSWER_SECONDS: Final = 5.0
_RECORDS: Final = 2_000
_LOOKUP_SECONDS: Final = 15.0
# Clocks of the broker and of those who look at theirs may be apart by so much.
_CLOCKS_APART_MS: Final = 60_000


class EventReference(NamedTuple):
    """Which event of which post: the post's id, and the event's number in it, from 0."""

    post: str
    number: int


class LookupFailedError(Exception):
    """The topic cannot be looked at now."""


def mark(post: str, number: int) -> tuple[str, bytes]:
    """The header that a record is found by."""
    return MARK, f"{post}:{number}".encode()


def marked(record: Record, post: str, number: int) -> Record:
    """A record that will be found as this event of its post."""
    return record._replace(headers=(*record.headers, mark(post, number)))


def find_posted(
    settings: Settings, posts: AbstractSet[str], starts: Mapping[int, int], until_ms: int, give_up_seconds: float
) -> dict[EventReference, Stored]:
    """What of some posts is in the topic; blocks, so it belongs on a thread.

    Args:
        settings: Where the broker is.
        posts: The ids they were marked with.
        starts: By partition, the offset to look from; other partitions are looked through from their beginning.
        until_ms: The Kafka timestamp after which nothing of them can be stored.
        give_up_seconds: How long this may take.

    Returns:
        Where each event is that was found, by its post and its number in it.

    Raises:
        LookupFailedError: The broker does not answer, or there is too much to look through.
    """
    options = librdkafka_options(settings) | {
        "group.id": "logsluice-api-lookup",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 100,
    }
    end = time.monotonic() + give_up_seconds
    consumer = Consumer(options, logger=logging.getLogger("kafka.librdkafka"))
    try:
        return _found(consumer, settings.kafka.topic, posts, starts, until_ms, end)
    except KafkaException as error:
        reason: KafkaError = error.args[0]
        raise LookupFailedError(reason.str()) from None
    finally:
        consumer.close()


class StoredEventFinder:
    """Reads the topic once for all who ask meanwhile: after a broker was away, hundreds do.

    Events of an attempt may still be stored for ``written_seconds``.
    """

    def __init__(self, settings: Settings, positions: TopicOffsets, written_seconds: float) -> None:
        self._settings = settings
        self._positions = positions
        self._written_ms = round(written_seconds * 1_000) + _CLOCKS_APART_MS
        self._lookups: Batcher[Mapping[str, DeliveryAttempt], dict[EventReference, Stored]] = Batcher(self._search)

    async def find(self, attempts: Mapping[str, DeliveryAttempt]) -> dict[EventReference, Stored]:
        """What of posts that were handed over before is in the topic, by the posts' ids.

        Raises:
            LookupFailedError: The topic cannot be looked at now.
        """
        return await self._lookups.submit(attempts)

    async def close(self) -> None:
        """Stop looking."""
        await self._lookups.close(finish=False)

    async def _search(self, batch: Sequence[Mapping[str, DeliveryAttempt]]) -> list[dict[EventReference, Stored]]:
        attempts = {post: attempt for posts in batch for post, attempt in posts.items()}
        try:
            current = await self._positions.refresh()
        except KafkaException as error:
            raise LookupFailedError(error.args[0].str()) from None
        same = all(attempt.end.topic_id == current.topic_id for attempt in attempts.values())
        starts = {
            number: min(attempt.end.offsets.get(number, 0) for attempt in attempts.values()) if same else 0
            for number in current.offsets
        }
        until_ms = max(attempt.sent_ms for attempt in attempts.values()) + self._written_ms
        found = await asyncio.to_thread(find_posted, self._settings, attempts.keys(), starts, until_ms, _LOOKUP_SECONDS)
        return [{place: at for place, at in found.items() if place.post in posts} for posts in batch]


def _found(
    consumer: Consumer, topic: str, posts: AbstractSet[str], starts: Mapping[int, int], until_ms: int, end: float
) -> dict[EventReference, Stored]:
    latest = _latest(consumer, topic)
    # A start behind the end is one of an earlier topic of that name.
    positions = {
        number: starts[number] if 0 <= starts.get(number, -1) <= latest[number] else OFFSET_BEGINNING
        for number in latest
    }
    consumer.assign([TopicPartition(topic, number, offset) for number, offset in positions.items()])
    found: dict[EventReference, Stored] = {}
    finished: set[int] = set()
    # The last requests of a killed process may still be on their way into the log: look once more.
    for pause in (_SETTLE_SECONDS, 0.0):
        unread = {number for number in positions if latest[number] > max(0, positions[number])} - finished
        while unread:
            if time.monotonic() > end:
                raise LookupFailedError("too many events were stored since to look through them")
            for message in consumer.consume(_RECORDS, _POLL_SECONDS):
                if (error := message.error()) is not None:
                    raise KafkaException(error)
                number, offset = message.partition() or 0, message.offset() or 0
                _, timestamp_ms = message.timestamp()
                positions[number] = offset + 1
                place = _place(message)
                if place is not None and place.post in posts:
                    found.setdefault(place, Stored(number, offset, timestamp_ms))
                if timestamp_ms > until_ms:
                    finished.add(number)
            unread = {n for n in unread if n not in finished and positions[n] < latest[n]}
            if unread:
                # Expired records and markers leave gaps: the reader's own position is behind them.
                for part in consumer.position([TopicPartition(topic, n) for n in unread]):
                    positions[part.partition] = max(positions[part.partition], part.offset)
                unread = {n for n in unread if positions[n] < latest[n]}
        time.sleep(pause)
        if pause:
            latest = _latest(consumer, topic)
    return found


def _place(message: Message) -> EventReference | None:
    headers: Any = message.headers() or ()
    for name, value in headers:
        if name == MARK and isinstance(value, bytes):
            post, _, number = value.decode("ascii", "replace").rpartition(":")
            return EventReference(post, int(number)) if number.isdecimal() else None
    return None


def _latest(consumer: Consumer, topic: str) -> dict[int, int]:
    """By partition, the offset behind the last record; 0 where nothing is kept any more, which needs no reading."""
    described = consumer.list_topics(topic, timeout=_ANSWER_SECONDS).topics[topic]
    if described.error is not None:
        raise KafkaException(described.error)
    ends: dict[int, int] = {}
    for number in described.partitions:
        offsets = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_ANSWER_SECONDS)
        if offsets is None:
            raise LookupFailedError("Kafka does not answer")
        ends[number] = offsets[1] if offsets[0] < offsets[1] else 0
    return ends
