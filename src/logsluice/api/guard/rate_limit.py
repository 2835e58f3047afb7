"""Rate limits: a token bucket for each client, shared by the instances through Redis.

Without Redis, or while it is away, each instance keeps buckets of its own: limits then hold for each instance.
Header fields: https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from cachetools import TTLCache
from redis.asyncio import Redis
from throttled.asyncio import RateLimiterType, Throttled, rate_limiter, store

from logsluice.api.redis_store import RedisUnavailableError, SharedStore
from logsluice.settings import ApiLimits

_POLICY: Final = "client"
_CLIENTS: Final = 100_000
_MOST_AT_ONCE: Final = 50
_RESERVATION_SECONDS: Final = 1.0


class Allowance(NamedTuple):
    """What a client has left.

    Attributes:
        limited: Whether this request is one too many.
        remaining: Requests that may come at once.
        reset_seconds: Until the bucket is full again.
        retry_seconds: Until the next request is taken; 0 where this one is.
    """

    limited: bool
    remaining: int
    reset_seconds: int
    retry_seconds: int


@dataclass(slots=True)
class _Reservation:
    """Requests that are taken out of the common bucket already, and what the client has left in all."""

    unused: int
    remaining: int
    reset_seconds: int


class RateLimiter:
    """Counts requests, in ``shared`` where that is a Redis."""

    def __init__(self, limits: ApiLimits, shared: SharedStore) -> None:
        rate, burst = limits.requests_per_second, limits.burst
        self.policy: Final = f'"{_POLICY}";q={burst};w={max(1, round(burst / rate))}'
        self._shared = shared
        self._some = max(1, min(rate // 50, _MOST_AT_ONCE))
        self._reserved: TTLCache[str, _Reservation] = TTLCache(_CLIENTS, _RESERVATION_SECONDS)
        self._pending: dict[str, asyncio.Future[Allowance]] = {}
        quota = rate_limiter.per_sec(rate, burst)
        self._local = self._throttled(quota, store.MemoryStore(options={"MAX_SIZE": _CLIENTS}), shared)
        self._common = self._throttled(quota, _store_on(shared.client), shared) if shared.client is not None else None

    async def take(self, client: str) -> Allowance:
        """Take one request out of a client's bucket.

        A busy client's requests are taken out of the common bucket a few at a time, of which the rest is kept here for
        at most a second: there may so be too few, never too many.
        """
        common = self._common
        if common is None:
            return _allowance(await self._local.limit(client))
        if self._some == 1:
            return await self._take_shared(common, client)
        while (reservation := self._reserved.get(client)) is None or not reservation.unused:
            pending = self._pending.get(client)
            if pending is None:
                pending = self._pending[client] = asyncio.ensure_future(self._take_for_all(common, client))
                return await asyncio.shield(pending)
            # Others of this client may use what is asked for already, or hear that there is nothing left.
            allowance = await asyncio.shield(pending)
            if allowance.limited:
                return allowance
        reservation.unused -= 1
        reservation.remaining -= 1
        return Allowance(False, reservation.remaining, reservation.reset_seconds, 0)

    async def _take_for_all(self, common: Throttled, client: str) -> Allowance:
        try:
            return await self._take_shared(common, client)
        finally:
            # Before this is done, so that nobody waits for what is over.
            del self._pending[client]

    async def _take_shared(self, common: Throttled, client: str) -> Allowance:
        try:
            return await self._shared.execute(lambda _: self._take_some(common, client))
        except RedisUnavailableError:
            return _allowance(await self._local.limit(client))

    async def _take_some(self, common: Throttled, client: str) -> Allowance:
        if self._some > 1:
            several = _allowance(await common.limit(client, self._some))
            if not several.limited:
                rest = self._some - 1
                self._reserved[client] = _Reservation(rest, several.remaining + rest, several.reset_seconds)
                return several._replace(remaining=several.remaining + rest)
        return _allowance(await common.limit(client))

    def headers(self, allowance: Allowance) -> list[tuple[bytes, bytes]]:
        """The header fields that tell a client what it has left."""
        state = f'"{_POLICY}";r={allowance.remaining};t={allowance.reset_seconds}'
        return [(b"ratelimit", state.encode()), (b"ratelimit-policy", self.policy.encode())]

    @staticmethod
    def _throttled(quota: rate_limiter.Quota, backend: store.BaseStore, shared: SharedStore) -> Throttled:
        return Throttled(
            using=RateLimiterType.TOKEN_BUCKET.value, quota=quota, store=backend, key_prefix=shared.key("limit")
        )


def _store_on(client: Redis) -> store.RedisStore:
    """throttled's store on a connection pool that is there already, in place of one of its own."""

    class Backend(store.RedisStoreBackend):
        # Redis's own errors say whether it is away; throttled would put one of its own in their place.
        base_exceptions = ()

        def get_client(self) -> Any:
            return client

    class Store(store.RedisStore):
        _BACKEND_CLASS = Backend

    return Store()


def _allowance(result: Any) -> Allowance:
    state = result.state
    return Allowance(result.limited, state.remaining, state.reset_after, state.retry_after)
