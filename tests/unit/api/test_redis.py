"""A Redis that is full: what was acknowledged stays, and what cannot be is refused. On Debian's Redis."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr
from redis import Redis, RedisError

from logsluice.api.guard.rate_limit import RateLimiter
from logsluice.api.ingest.idempotency import Claim, IdempotencyKeys, RecordedResponse
from logsluice.api.ingest.topic_offsets import EndOffsets
from logsluice.api.problems import ProblemError
from logsluice.api.redis_store import SharedStore
from logsluice.settings import ApiLimits, RedisSettings

pytestmark = pytest.mark.slow

END = EndOffsets("topic", {0: 0})


@pytest.fixture
def server() -> Iterator[Redis]:
    if shutil.which("redis-server") is None:
        pytest.skip("there is no redis-server here (Debian's package redis-server)")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen([*command, "--maxmemory-policy", "noeviction"], stdout=subprocess.DEVNULL)
    client = Redis(port=port)
    try:
        end = time.monotonic() + 30
        while True:
            try:
                client.ping()
                break
            except RedisError:
                assert time.monotonic() < end
                time.sleep(0.05)
        yield client
    finally:
        client.close()
        process.kill()
        process.wait()


def _now(answer: Any) -> Any:
    """The client's types allow for an asynchronous answer, too."""
    return answer


def fill(server: Redis) -> None:
    server.set("filler", b"x" * 1_000_000)
    server.config_set("maxmemory", _now(server.info("memory"))["used_memory"])


def refusals(reason: str) -> float:
    labels = {"part": "redis", "reason": reason}
    return REGISTRY.get_sample_value("logsluice_redis_refusals_total", labels) or 0


def test_a_full_redis_keeps_its_keys_and_refuses_new_ones_with_its_reason(server: Redis) -> None:
    async def work() -> None:
        url = SecretStr(f"redis://127.0.0.1:{server.connection_pool.connection_kwargs['port']}/0")
        store = SharedStore(RedisSettings(url=url))
        keys = IdempotencyKeys(store, 3_600, 10)
        claim = await keys.claim("known", "print", END)
        assert isinstance(claim, Claim)
        await keys.finish(claim, {"results": [1]})
        fill(server)
        before = refusals("full")
        for _ in range(3):
            with pytest.raises(ProblemError, match="Redis is full and takes no more writes") as refused:
                await keys.claim("new", "print", END)
            assert refused.value.status == 503
            assert refused.value.headers["Retry-After"] == "30"
            # It answers: nothing counts as away.
            assert await keys.claim("known", "print", END) == RecordedResponse({"results": [1]})
        assert refusals("full") == before + 3
        assert not (await RateLimiter(ApiLimits(), store).take("ann")).limited
        await store.measure()
        assert REGISTRY.get_sample_value("logsluice_redis_most_bytes", {"part": "redis"}) == int(
            _now(server.config_get("maxmemory"))["maxmemory"]
        )
        server.delete("filler")
        assert isinstance(await keys.claim("new", "print", END), Claim)
        await store.close()

    asyncio.run(work())


def test_a_replica_is_no_place_for_keys(server: Redis) -> None:
    async def work() -> None:
        port = server.connection_pool.connection_kwargs["port"]
        store = SharedStore(RedisSettings(url=SecretStr(f"redis://127.0.0.1:{port}/0")))
        keys = IdempotencyKeys(store, 3_600, 10)
        server.slaveof("127.0.0.1", 1)
        with pytest.raises(ProblemError, match="is a replica"):
            await keys.claim("new", "print", END)
        assert refusals("read-only") > 0
        await store.close()

    asyncio.run(work())
