"""The way of posts into the buffer, and out of it, without a broker."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Coroutine, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import pytest

from logsluice.api.ingest import buffer_drain as draining_module
from logsluice.api.ingest.buffer import EventBuffer, PostState
from logsluice.api.ingest.buffer_drain import draining
from logsluice.api.ingest.events import RejectedEvent
from logsluice.api.ingest.intake import Intake
from logsluice.api.ingest.producer import EventProducer, Outcome, Record, Stored, Undelivered
from logsluice.api.ingest.topic_offsets import EndOffsets, TopicOffsets
from logsluice.api.problems import ProblemError
from logsluice.api.redis_store import SharedStore
from logsluice.settings import ApiBufferSettings, RedisSettings, load_settings

T = TypeVar("T")
GOOD = Record(b'{"message": "a"}')
BAD = RejectedEvent(HTTPStatus.UNPROCESSABLE_ENTITY, "an event needs a message or a timestamp")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


class Broker(EventProducer):
    """Answers what it is told to."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = outcomes

    async def send(self, records: Sequence[Record]) -> list[Outcome]:
        assert len(records) == len(self.outcomes)
        return list(self.outcomes)


class Ends(TopicOffsets):
    """Knows an end."""

    def __init__(self) -> None:
        self._end = EndOffsets("topic", {0: 0})

    async def refresh(self, seconds: float = 0.0) -> EndOffsets:
        del seconds
        return EndOffsets("topic", {0: 0})


def intake(broker: Broker, buffer: EventBuffer | None) -> Intake:
    return Intake(load_settings(), broker, Ends(), SharedStore(RedisSettings()), buffer)


LATE = Undelivered("timed out", away=True, sent=True)


def test_of_a_post_with_errors_that_kafka_has_in_part_each_outcome_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with EventBuffer.opened(ApiBufferSettings(directory=tmp_path), tmp_path) as buffer:
            receipt = await intake(Broker(Stored(0, 1, 2), LATE), buffer).post([GOOD, BAD, GOOD], "batch")
            assert [result.status for result in receipt.results] == [201, 422, 503]
            assert (receipt.ticket, buffer.events) == (None, 0)

    run(story())


def test_a_post_with_errors_may_come_again_when_kafka_is_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with EventBuffer.opened(ApiBufferSettings(directory=tmp_path), tmp_path) as buffer:
            waits = intake(Broker(LATE), buffer)
            assert (await waits.post([GOOD], "single")).ticket is not None
            with pytest.raises(ProblemError, match="needs a message") as refused:
                await waits.post([GOOD, BAD], "otlp")
            assert refused.value.status == 503
            assert "Retry-After" in refused.value.headers

    run(story())


def test_the_buffer_is_emptied_though_it_could_not_forget_its_tickets_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining_module, "EXPIRE_SECONDS", 0.01)

    async def story() -> None:
        async with EventBuffer.opened(ApiBufferSettings(directory=tmp_path), tmp_path) as buffer:
            failures = [sqlite3.OperationalError("disk I/O error")]
            expire = buffer.expire

            async def fail_once() -> None:
                if failures:
                    raise failures.pop()
                await expire()

            monkeypatch.setattr(buffer, "expire", fail_once)
            broker = Broker(LATE)
            waits = intake(broker, buffer)
            async with draining(waits):
                while failures:
                    await asyncio.sleep(0.01)
                await buffer.put("p", [(0, Record(b"a"))], PostState(None, True, None))
                broker.outcomes = (Stored(0, 1, 2),)
                async with asyncio.timeout(5):
                    while buffer.events:
                        await asyncio.sleep(0.01)

    run(story())
