"""End offsets of the topic, refreshed in the background: later records lie at or behind them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, NamedTuple

import orjson
import structlog
from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from logsluice.api.background import in_background
from logsluice.kafka.options import librdkafka_options
from logsluice.settings import Settings

_REFRESH_SECONDS: Final = 1.0
_ANSWER_SECONDS: Final = 5.0

log = structlog.get_logger(__name__)


class EndOffsets(NamedTuple):
    """Where a topic ended.

    Attributes:
        topic_id: Kafka's id of it; one that is made again has another.
        offsets: By partition, the offset behind the last record, or less.
    """

    topic_id: str
    offsets: dict[int, int]

    def packed(self) -> bytes:
        """The offsets as JSON, to be kept beside the topic's id."""
        return orjson.dumps(self.offsets, option=orjson.OPT_NON_STR_KEYS)

    @classmethod
    def unpacked(cls, topic_id: str, offsets: bytes) -> EndOffsets:
        """What was :meth:`packed`."""
        return cls(topic_id, {int(number): int(offset) for number, offset in orjson.loads(offsets).items()})


class DeliveryAttempt(NamedTuple):
    """That Kafka may have some of a post already.

    Attributes:
        sent_ms: When it was last handed over, milliseconds since the epoch.
        end: Where the topic ended before it was first handed over.
    """

    sent_ms: int
    end: EndOffsets


class TopicOffsets:
    """Asks the broker now and then."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.kafka.topic
        # What it has to say goes where the rest of the log goes, each time it is polled.
        self._admin = AdminClient(librdkafka_options(settings), logger=logging.getLogger("kafka.librdkafka"))
        self._end: EndOffsets | None = None

    @classmethod
    @asynccontextmanager
    async def opened(cls, settings: Settings) -> AsyncIterator[TopicOffsets]:
        """Offsets that keep themselves up to date until they are closed."""
        positions = cls(settings)
        async with in_background(positions._keep()):
            yield positions

    @property
    def end(self) -> EndOffsets | None:
        """Where the topic ended when it was last looked at; None before it was."""
        return self._end

    async def recent_end(self) -> EndOffsets:
        """Where the topic ends, or ended a little ago.

        Raises:
            confluent_kafka.KafkaException: It was not looked at before, and the broker does not answer.
        """
        return self._end or await self.refresh()

    async def refresh(self, seconds: float = _ANSWER_SECONDS) -> EndOffsets:
        """Ask the broker.

        Raises:
            confluent_kafka.KafkaException: It does not answer, or there is no such topic.
        """
        described = self._admin.describe_topics(TopicCollection([self._topic]), request_timeout=seconds)
        topic = await asyncio.wrap_future(described[self._topic])
        requested = {TopicPartition(self._topic, part.id): OffsetSpec.latest() for part in topic.partitions}  # type: ignore[no-untyped-call]
        listed = self._admin.list_offsets(requested, request_timeout=seconds)
        offsets = {part.partition: (await asyncio.wrap_future(answer)).offset for part, answer in listed.items()}
        self._end = EndOffsets(str(topic.topic_id), offsets)
        return self._end

    async def _keep(self) -> None:
        while True:
            with suppress(KafkaException):
                await self.refresh()
            self._admin.poll(0)
            await asyncio.sleep(_REFRESH_SECONDS)
