"""How often a client may ask."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from logsluice.api.guard.rate_limit import RateLimiter
from logsluice.api.redis_store import SharedStore
from logsluice.settings import ApiLimits, RedisSettings

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def test_a_bucket_empties_and_fills() -> None:
    async def story() -> None:
        limiter = RateLimiter(ApiLimits(requests_per_second=1, burst=3), SharedStore(RedisSettings()))
        allowances = [await limiter.take("a") for _ in range(5)]
        assert [allowance.limited for allowance in allowances[:3]] == [False] * 3
        assert any(allowance.limited and allowance.retry_seconds >= 1 for allowance in allowances[3:])
        assert not (await limiter.take("b")).limited
        assert limiter.policy == '"client";q=3;w=3'

    run(story())
