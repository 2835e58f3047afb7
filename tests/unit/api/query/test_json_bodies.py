"""JSON bodies of the routes that ask: read within the limits, and only of those who may ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from logsluice.api.application import create_app
from logsluice.api.guard.access import Guard
from logsluice.api.guard.keys import KeyRing, make_key, write_keys
from logsluice.api.guard.rate_limit import RateLimiter
from logsluice.api.ingest.bodies import BodyReader
from logsluice.api.redis_store import SharedStore
from logsluice.settings import ApiLimits, RedisSettings, load_settings

PATHS = ("/results", "/patterns/test")
LIMITS = ApiLimits(body_bytes=1_000, total_body_bytes=1_000)


@pytest.fixture
def key(tmp_path: Path) -> str:
    made = make_key("test", ("admin",))
    write_keys(tmp_path / "keys.yaml", [made.stored])
    return made.text


class Body:
    """Pieces without a length, which counts those that were asked for."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.read += 1
            yield piece


def post(tmp_path: Path, path: str, body: Body, **headers: str) -> httpx.Response:
    settings = load_settings()
    settings = settings.model_copy(update={"api": settings.api.model_copy(update={"limits": LIMITS})})
    app = create_app(settings)
    guard = Guard(KeyRing(tmp_path / "keys.yaml"), None, RateLimiter(LIMITS, SharedStore(RedisSettings())))
    app.state.resources = SimpleNamespace(
        settings=settings, guard=guard, intake=SimpleNamespace(bodies=BodyReader(LIMITS))
    )

    async def request() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://logsluice") as client:
            return await client.post(path, content=aiter(body), headers=headers)

    return asyncio.run(request())


@pytest.mark.parametrize("path", PATHS)
def test_a_body_of_whom_nobody_knows_is_not_read(key: str, tmp_path: Path, path: str) -> None:
    body = Body(*[b"x" * 100] * 100)
    assert post(tmp_path, path, body).status_code == 401
    assert post(tmp_path, path, body, **{"X-API-Key": key[:-1]}).status_code == 401
    assert not body.read


@pytest.mark.parametrize("path", PATHS)
def test_a_large_body_is_not_read_to_its_end(key: str, tmp_path: Path, path: str) -> None:
    body = Body(*[b"x" * 100] * 100)
    answer = post(tmp_path, path, body, **{"X-API-Key": key})
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    assert body.read <= 11


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"", "application/json", 400),
        (b"[" * 900, "application/json", 400),
        (b"[]", "application/json", 422),
        (b'{"fields": {"a": {"b": {}}}}', "application/json", 422),
        (b"a=1", "application/x-www-form-urlencoded", 415),
    ],
)
def test_a_body_that_is_none_is_told_why(
    key: str, tmp_path: Path, path: str, body: bytes, media_type: str, status: int
) -> None:
    answer = post(tmp_path, path, Body(body), **{"X-API-Key": key, "Content-Type": media_type})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
