"""The circuit breaker before Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from logsluice.api.ingest.breaker import BackendUnavailableError, Breaker, CircuitOpenError

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


async def attempt(breaker: Breaker, *, away: bool = False) -> str:
    try:
        async with breaker.attempt():
            await asyncio.sleep(0)
            if away:
                raise BackendUnavailableError
    except CircuitOpenError:
        return "refused"
    except BackendUnavailableError:
        return "failed"
    return "done"


def test_a_breaker_opens_after_failures_in_a_row_and_closes_after_one_success() -> None:
    async def story() -> None:
        breaker = Breaker("part", 3, 0.05)
        for away in (True, True, False, True, True):
            await attempt(breaker, away=away)
        assert str(breaker.state) == "closed"
        assert await attempt(breaker, away=True) == "failed"
        assert str(breaker.state) == "open"
        assert not breaker.admits_attempts
        assert await attempt(breaker) == "refused"
        await asyncio.sleep(0.06)
        assert breaker.admits_attempts
        assert await attempt(breaker, away=True) == "failed"
        assert breaker.state == "open"
        await asyncio.sleep(0.06)
        assert await attempt(breaker) == "done"
        assert breaker.state == "closed"

    run(story())


def test_one_attempt_at_a_time_tries_whether_the_part_is_back() -> None:
    async def story() -> None:
        breaker = Breaker("part", 1, 0.01)
        await attempt(breaker, away=True)
        await asyncio.sleep(0.02)
        outcomes = await asyncio.gather(*(attempt(breaker) for _ in range(10)))
        assert sorted(outcomes) == ["done"] + ["refused"] * 9
        assert breaker.state == "closed"

    run(story())


def test_an_attempt_that_is_given_up_leaves_room_for_the_next() -> None:
    async def story() -> None:
        breaker = Breaker("part", 1, 0.01)
        await attempt(breaker, away=True)
        await asyncio.sleep(0.02)

        async def forever() -> None:
            async with breaker.attempt():
                await asyncio.sleep(60)

        task = asyncio.create_task(forever())
        await asyncio.sleep(0.01)
        assert breaker.state == "half-open"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await attempt(breaker) == "done"

    run(story())
