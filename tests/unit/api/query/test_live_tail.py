"""The live tail, without a server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

from fastapi import Request

from logsluice.api.guard import keys as keys_module
from logsluice.api.guard.access import Guard
from logsluice.api.guard.keys import KeyRing, make_key, write_keys
from logsluice.api.guard.rate_limit import RateLimiter
from logsluice.api.query.live_tail import Checkpoints, Tail
from logsluice.api.query.repository import EventRepository
from logsluice.api.redis_store import SharedStore
from logsluice.settings import ApiLimits, RedisSettings


class Quiet:
    """Elasticsearch in which nothing happens."""

    async def checkpoints(self, _indices: Any) -> dict[str, int]:
        return {}


def test_whoever_loses_the_key_follows_no_longer(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(keys_module, "RELOAD_SECONDS", 0.0)
    file = tmp_path / "keys.yaml"
    made = make_key("test", ("query",))
    write_keys(file, [made.stored])
    guard = Guard(KeyRing(file), None, RateLimiter(ApiLimits(), SharedStore(RedisSettings())))
    request = Request({"type": "http", "headers": [(b"x-api-key", made.text.encode())]})
    repository = cast(EventRepository, Quiet())

    async def story() -> None:
        assert await guard.still_admits(request, "query")
        assert not await guard.still_admits(request, "ingest")
        tail = Tail(
            repository,
            Checkpoints(repository),
            "results",
            [],
            {},
            asyncio.Event(),
            lambda: guard.still_admits(request, "query"),
        )

        async def follow() -> None:
            async for _ in tail.events():
                pass

        following = asyncio.create_task(follow())
        await asyncio.sleep(0.1)
        assert not following.done()
        write_keys(file, [])
        await asyncio.wait_for(following, 5)

    asyncio.run(story())
