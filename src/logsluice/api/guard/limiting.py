"""How often a client may ask: a token bucket each, shared by the instances through Redis.

Without Redis, or while it is away, each instance keeps buckets of its own: limits then hold for each instance.
Header fields: https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from redis.asyncio import Redis
from throttled.asyncio import RateLimiterType, Throttled, rate_limiter, store

from logsluice.api.shared import RedisAway, SharedStore
from logsluice.settings import ApiLimits

_POLICY: Final = "client"
_CLIENTS: Final = 100_000


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


class Limiter:
    """Counts requests.

    Args:
        limits: How many a client may send.
        shared: Where instances share their counts.
    """

    def __init__(self, limits: ApiLimits, shared: SharedStore) -> None:
        rate, burst = limits.requests_per_second, limits.burst
        self.policy: Final = f'"{_POLICY}";q={burst};w={max(1, round(burst / rate))}'
        self._shared = shared
        quota = rate_limiter.per_sec(rate, burst)
        self._local = self._throttled(quota, store.MemoryStore(options={"MAX_SIZE": _CLIENTS}), shared)
        self._common = self._throttled(quota, _store_on(shared.client), shared) if shared.client is not None else None

    async def take(self, client: str) -> Allowance:
        """Take one request out of a client's bucket."""
        if self._common is not None:
            common = self._common
            try:
                return _allowance(await self._shared.ask(lambda _: common.limit(client)))
            except RedisAway:
                pass
        return _allowance(await self._local.limit(client))

    def headers(self, allowance: Allowance) -> list[tuple[bytes, bytes]]:
        """The header fields that tell a client what it has left."""
        left = f'"{_POLICY}";r={allowance.remaining};t={allowance.reset_seconds}'
        return [(b"ratelimit", left.encode()), (b"ratelimit-policy", self.policy.encode())]

    @staticmethod
    def _throttled(quota: rate_limiter.Quota, where: store.BaseStore, shared: SharedStore) -> Throttled:
        return Throttled(
            using=RateLimiterType.TOKEN_BUCKET.value, quota=quota, store=where, key_prefix=shared.key("limit")
        )


def _store_on(client: Redis) -> store.RedisStore:
    """throttled's store on a connection pool that is there already, in place of one of its own."""

    class Backend(store.RedisStoreBackend):
        def get_client(self) -> Any:
            return client

    class Store(store.RedisStore):
        _BACKEND_CLASS = Backend

    return Store()


def _allowance(result: Any) -> Allowance:
    state = result.state
    return Allowance(result.limited, state.remaining, state.reset_after, state.retry_after)
