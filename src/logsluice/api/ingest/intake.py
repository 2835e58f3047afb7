"""The way of posted events into Kafka."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from logsluice import metrics
from logsluice.api.ingest.bodies import BodyReader
from logsluice.api.ingest.breaker import Breaker, PartAway
from logsluice.api.ingest.positions import Positions
from logsluice.api.ingest.producer import EventProducer, Outcome, Record, Undelivered
from logsluice.api.shared import SharedStore
from logsluice.settings import Settings


class Intake:
    """Stores events, and answers for each.

    Args:
        settings: Of the environment.
        producer: To Kafka.
        positions: Knows where the topic ends.
        shared: Remembers idempotency keys.
    """

    def __init__(self, settings: Settings, producer: EventProducer, positions: Positions, shared: SharedStore) -> None:
        self.bodies = BodyReader(settings.api.limits)
        self.topic = settings.kafka.topic
        self.buffers = False
        self._producer = producer
        self._positions = positions
        self._shared = shared
        self._breaker = Breaker("kafka", settings.api.breaker_failures, settings.api.breaker_seconds)

    @classmethod
    @asynccontextmanager
    async def opened(cls, settings: Settings, shared: SharedStore) -> AsyncIterator[Intake]:
        """Everything opened; Kafka may come later.

        Raises:
            LogsluiceError: A setting is wrong.
        """
        async with AsyncExitStack() as stack:
            producer = await stack.enter_async_context(EventProducer.opened(settings))
            positions = await stack.enter_async_context(Positions.opened(settings))
            yield cls(settings, producer, positions, shared)

    async def ping(self, seconds: float) -> None:
        """Come back where Kafka answers and has the topic.

        Raises:
            confluent_kafka.KafkaException: It does not.
        """
        await self._positions.refresh(seconds)

    async def store(self, records: Sequence[Record]) -> list[Outcome]:
        """Hand records to Kafka and wait for its answer to each.

        Raises:
            CircuitOpen: Kafka counts as away; nothing was handed over.
        """
        began = time.perf_counter()
        outcomes: list[Outcome] = []
        try:
            async with self._breaker.attempt():
                outcomes = await self._producer.send(records)
                if any(isinstance(outcome, Undelivered) and outcome.away for outcome in outcomes):
                    raise PartAway
        except PartAway:
            pass
        metrics.API_DELIVERY_DURATION.observe(time.perf_counter() - began)
        return outcomes
