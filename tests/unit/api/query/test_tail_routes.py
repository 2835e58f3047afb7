"""Places at the live tail: no caller takes them all, and who goes gives theirs back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.requests import Request

from logsluice.api.guard.access import ANYBODY, Caller
from logsluice.api.problems import ProblemError
from logsluice.api.query.conditions import searchable_fields
from logsluice.api.query.parameters import FilterParameters
from logsluice.api.query.tail_routes import followed_tail
from logsluice.api.resources import Resources
from logsluice.event.ecs import FIELDS
from logsluice.settings import load_settings


def resources(**api: int) -> Resources:
    settings = load_settings()
    settings = settings.model_copy(update={"api": settings.api.model_copy(update=api)})
    made = SimpleNamespace(
        tails={},
        settings=settings,
        fields=searchable_fields(FIELDS),
        repository=None,
        checkpoints=None,
        stopping=None,
        guard=None,
    )
    return cast(Resources, made)


@asynccontextmanager
async def following(shared: Resources, caller: Caller, address: str = "10.0.0.1") -> AsyncIterator[None]:
    scope: dict[str, Any] = {"type": "http", "query_string": b"", "headers": [], "path": "/logs/tail", "method": "GET"}
    request = Request({**scope, "caller": caller, "client": (address, 1)})
    place = followed_tail(request, shared, FilterParameters(), None, "2026.12.01=1")
    await anext(place)
    try:
        yield
    finally:
        await place.aclose()


def test_one_caller_leaves_places_to_others_and_gives_theirs_back() -> None:
    async def work() -> None:
        shared = resources(tails=4, tails_each=2)
        ann, bob, eve = (Caller(f"key:{name}", ("query",)) for name in ("ann", "bob", "eve"))
        async with AsyncExitStack() as places:
            for _ in range(2):
                await places.enter_async_context(following(shared, ann))
            with pytest.raises(ProblemError, match="you follow 2 times already") as refused:
                await places.enter_async_context(following(shared, ann))
            assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "10")
            for _ in range(2):
                await places.enter_async_context(following(shared, bob))
            with pytest.raises(ProblemError, match="4 clients follow already") as refused:
                await places.enter_async_context(following(shared, eve))
            assert refused.value.status == 503
        assert shared.tails == {}
        async with following(shared, ann):
            assert len(shared.tails) == 1

    asyncio.run(work())


def test_where_anybody_may_ask_an_address_is_a_caller() -> None:
    async def work() -> None:
        shared = resources(tails_each=1)
        async with following(shared, ANYBODY, "10.0.0.1"), following(shared, ANYBODY, "10.0.0.2"):
            with pytest.raises(ProblemError, match="already"):
                async with following(shared, ANYBODY, "10.0.0.2"):
                    pass

    asyncio.run(work())
