"""What the query routes need, opened with the application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from elasticsearch import AsyncElasticsearch

from logsluice.api.query.cache import ResponseCache
from logsluice.api.query.conditions import Searchable, searchable_fields
from logsluice.api.query.live_tail import Checkpoints
from logsluice.api.query.merge import Merger
from logsluice.api.query.pattern_trials import PatternTrialPool
from logsluice.api.query.repository import EventRepository
from logsluice.api.redis_store import SharedStore
from logsluice.extract.registry import Registry, load_registry
from logsluice.settings import Settings, config_dir


@dataclass(frozen=True)
class Queries:
    """What questions are answered with.

    Attributes:
        fields: What can be asked for.
        tails: Who has a place among those who follow the tail, by their tails.
        stopping: Set when the process is asked to stop, so that the tails end.
    """

    settings: Settings
    registry: Registry
    fields: Searchable
    repository: EventRepository
    cache: ResponseCache
    merger: Merger
    trials: PatternTrialPool
    checkpoints: Checkpoints
    tails: dict[object, str] = field(default_factory=dict)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def longest(self) -> timedelta:
        """The longest stretch of time that may be asked about."""
        return timedelta(seconds=self.settings.api.limits.query_seconds)

    @classmethod
    @asynccontextmanager
    async def opened(
        cls,
        settings: Settings,
        client: AsyncElasticsearch,
        shared: SharedStore,
        cache: SharedStore,
    ) -> AsyncIterator[Queries]:
        """Everything for questions.

        Raises:
            LogsluiceError: The registry is wrong.
        """
        folder = config_dir()
        registry = await asyncio.to_thread(load_registry, folder)
        repository = EventRepository(client, settings.api.search_seconds)
        trials = PatternTrialPool(folder, settings.time_zone)
        try:
            yield cls(
                settings,
                registry,
                searchable_fields(registry.fields),
                repository,
                ResponseCache(cache, largest=settings.api.cache_bytes),
                Merger(repository, shared),
                trials,
                Checkpoints(repository),
            )
        finally:
            await asyncio.to_thread(trials.close)
