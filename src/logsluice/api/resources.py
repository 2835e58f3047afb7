"""The clients and services that routes use: opened when the application starts, closed when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Final, cast

from elasticsearch import AsyncElasticsearch
from fastapi import Depends, Request

from logsluice.api.guard.access import Guard
from logsluice.api.ingest.buffer_drain import draining
from logsluice.api.ingest.intake import Intake
from logsluice.api.query.cache import ResponseCache
from logsluice.api.query.conditions import Searchable, searchable_fields
from logsluice.api.query.live_tail import Checkpoints
from logsluice.api.query.merge import Merger
from logsluice.api.query.pattern_trials import PatternTrialPool
from logsluice.api.query.repository import EventRepository
from logsluice.api.redis_store import SharedStore
from logsluice.elasticsearch.client import client_options
from logsluice.extract.registry import Registry, load_registry
from logsluice.settings import Settings, config_dir

_ELASTICSEARCH_CONNECTIONS: Final = 20


@dataclass(frozen=True)
class Resources:
    """What the routes work with.

    Attributes:
        shared: The Redis that forgets nothing.
        cache: The Redis that may forget.
        fields: Those that can be searched, with their types.
        tails: Who has a place among those who follow the tail, by their tails.
        stopping: Set when the process is asked to stop, so that the tails end.
    """

    settings: Settings
    elasticsearch: AsyncElasticsearch
    shared: SharedStore
    cache: SharedStore
    guard: Guard
    intake: Intake
    registry: Registry
    fields: Searchable
    repository: EventRepository
    responses: ResponseCache
    merger: Merger
    trials: PatternTrialPool
    checkpoints: Checkpoints
    tails: dict[object, str] = field(default_factory=dict)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncIterator[Resources]:
    """Open everything; a part that is away now may come later.

    Raises:
        LogsluiceError: A setting or the registry is wrong.
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
        folder = config_dir()
        registry = await asyncio.to_thread(load_registry, folder)
        repository = EventRepository(elasticsearch, settings.api.search_seconds)
        trials = PatternTrialPool(folder, settings.time_zone)
        stack.push_async_callback(asyncio.to_thread, trials.close)
        yield Resources(
            settings,
            elasticsearch,
            shared,
            cache,
            guard,
            intake,
            registry,
            searchable_fields(registry.fields),
            repository,
            ResponseCache(cache, largest=settings.api.cache_bytes),
            Merger(repository, shared),
            trials,
            Checkpoints(repository),
        )


async def resources_of(request: Request) -> Resources:
    """The resources of the application that a request came to."""
    return cast(Resources, request.app.state.resources)


ResourcesOf = Annotated[Resources, Depends(resources_of)]
"""For a route's parameter."""
