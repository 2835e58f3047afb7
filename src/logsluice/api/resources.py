"""The clients and services that routes use: opened when the application starts, closed when it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Final, cast

from elasticsearch import AsyncElasticsearch
from fastapi import Depends, Request

from logsluice.api.guard.access import Guard
from logsluice.api.ingest.buffer_drain import draining
from logsluice.api.ingest.intake import Intake
from logsluice.api.query.queries import Queries
from logsluice.api.redis_store import SharedStore
from logsluice.elasticsearch.client import client_options
from logsluice.settings import Settings

_ELASTICSEARCH_CONNECTIONS: Final = 20


@dataclass(frozen=True)
class Resources:
    """What the routes work with; ``shared`` is the Redis that forgets nothing, ``cache`` the one that may."""

    settings: Settings
    elasticsearch: AsyncElasticsearch
    shared: SharedStore
    cache: SharedStore
    guard: Guard
    intake: Intake
    queries: Queries


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncIterator[Resources]:
    """Open everything; a part that is away now may come later.

    Raises:
        LogsluiceError: A setting is wrong.
    """
    async with AsyncExitStack() as stack:
        elasticsearch = AsyncElasticsearch(
            **client_options(settings.elasticsearch), connections_per_node=_ELASTICSEARCH_CONNECTIONS
        )
        stack.push_async_callback(elasticsearch.close)
        shared = SharedStore(settings.redis)
        stack.push_async_callback(shared.close)
        cache = SharedStore(settings.redis, "redis-cache")
        stack.push_async_callback(cache.close)
        guard = await stack.enter_async_context(Guard.opened(settings, cache if cache.configured else shared))
        intake = await stack.enter_async_context(Intake.opened(settings, shared))
        await stack.enter_async_context(draining(intake))
        queries = await stack.enter_async_context(Queries.opened(settings, elasticsearch, shared, cache))
        yield Resources(settings, elasticsearch, shared, cache, guard, intake, queries)


async def resources_of(request: Request) -> Resources:
    """The resources of the application that a request came to."""
    return cast(Resources, request.app.state.resources)


ResourcesOf = Annotated[Resources, Depends(resources_of)]
"""For a route's parameter."""
