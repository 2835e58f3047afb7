"""Redis as the instances share it: idempotency keys in one that forgets nothing, limits and cached answers in one that
may.

Redis is never waited for twice: once it does not answer, it counts as away for a moment, and who can do without it
does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Literal, TypeVar

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError, ResponseError

from logsluice.errors import LogsluiceError
from logsluice.runtime import metrics
from logsluice.settings import RedisSettings

T = TypeVar("T")
StorePart = Literal["redis", "redis-cache"]
_AWAY_SECONDS: Final = 1.0
_LOG_SECONDS: Final = 15.0
_CONNECTIONS: Final = 64
_REFUSALS: Final = {
    "full": "Redis is full and takes no more writes",
    "read-only": "this Redis is a replica and takes no writes",
    "disk": "Redis cannot write to its disk and takes no writes",
    "other": "Redis refuses",
}

log = structlog.get_logger(__name__)


class RedisUnavailableError(Exception):
    """There is no Redis, or it does not answer."""


class RedisRefusedError(RedisUnavailableError):
    """Redis answers, and will not do it: it is full, or cannot keep what it is given."""


class SharedStore:
    """A Redis that may be away, or not be there at all; ``redis`` is the one that holds what must not be lost.

    Raises:
        LogsluiceError: The URL is none of Redis's.
    """

    def __init__(self, settings: RedisSettings, part: StorePart = "redis") -> None:
        self.part: Final = part
        self.prefix = settings.prefix
        self._away: Final = f"{part} does not answer: going on without it"
        self.client: Redis | None = None
        self._scripts: dict[str, Any] = {}
        self._retry_at = 0.0
        self._logged_at: dict[str, float] = {}
        url = settings.url if part == "redis" else settings.cache_url
        if url is None:
            return
        try:
            pool = BlockingConnectionPool.from_url(
                url.get_secret_value(),
                socket_timeout=settings.timeout_seconds,
                socket_connect_timeout=settings.timeout_seconds,
                timeout=settings.timeout_seconds,
                max_connections=_CONNECTIONS,
                # The one repetition is for a connection that was closed while it was idle.
                retry=Retry(NoBackoff(), 1),
            )
        except ValueError as error:
            raise LogsluiceError(
                "not the URL of a Redis",
                where="LOGSLUICE_REDIS__URL" if part == "redis" else "LOGSLUICE_REDIS__CACHE_URL",
                why=str(error),
                hint="write it as redis://HOST:PORT/0",
            ) from None
        self.client = Redis(connection_pool=pool)
        for reason in _REFUSALS:
            # From zero on, so that the first one is seen to come.
            metrics.REDIS_REFUSALS.labels(part, reason)

    @property
    def configured(self) -> bool:
        """Whether there is one to ask."""
        return self.client is not None

    def key(self, *parts: str) -> str:
        """A key under the prefix."""
        return ":".join((self.prefix, *parts))

    async def execute(self, question: Callable[[Redis], Awaitable[T]]) -> T:
        """What Redis answers.

        Raises:
            RedisUnavailableError: There is none, it does not answer, or it did not a moment ago.
            RedisRefusedError: It answers that it will not.
        """
        if self.client is None:
            raise RedisUnavailableError("no Redis is configured")
        if time.monotonic() < self._retry_at:
            raise RedisUnavailableError("Redis does not answer")
        try:
            answer = await question(self.client)
        except ResponseError as error:
            reason = _refusal(error)
            metrics.REDIS_REFUSALS.labels(self.part, reason).inc()
            self._log(logging.ERROR, f"{self.part} refuses", str(error))
            raise RedisRefusedError(_REFUSALS[reason]) from error
        except (RedisError, OSError) as error:
            self._retry_at = time.monotonic() + _AWAY_SECONDS
            metrics.PART_UP.labels(self.part).set(0)
            self._log(logging.WARNING, self._away, f"{type(error).__name__}: {error}")
            raise RedisUnavailableError("Redis does not answer") from error
        if self._logged_at.pop(self._away, None) is not None:
            log.info(f"{self.part} answers again")
        metrics.PART_UP.labels(self.part).set(1)
        return answer

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> Any:
        """What a Lua script gives, which Redis is sent once.

        Raises:
            RedisUnavailableError: As :meth:`execute` does.
        """

        async def call(client: Redis) -> Any:
            registered = self._scripts.get(script)
            if registered is None:
                registered = self._scripts[script] = client.register_script(script)
            return await registered(keys, arguments)

        return await self.execute(call)

    async def measure(self) -> None:
        """Put what it holds, and what it may hold, on ``/metrics``.

        Raises:
            RedisUnavailableError: As :meth:`execute` does.
        """
        memory = await self.execute(lambda redis: redis.info("memory"))
        metrics.REDIS_BYTES.labels(self.part).set(memory["used_memory"])
        metrics.REDIS_MOST_BYTES.labels(self.part).set(memory["maxmemory"])

    async def close(self) -> None:
        """Close the connections."""
        if self.client is not None:
            await self.client.aclose(close_connection_pool=True)

    def _log(self, level: int, event: str, reason: str) -> None:
        now = time.monotonic()
        if now - self._logged_at.get(event, float("-inf")) > _LOG_SECONDS:
            self._logged_at[event] = now
            log.log(level, event, reason=" ".join(reason.split())[:500])


def _refusal(error: ResponseError) -> str:
    """Why Redis refuses, in one of few words; the words of its errors are those of Redis 7.2 (``src/server.c``)."""
    if isinstance(error, OutOfMemoryError):
        return "full"
    if isinstance(error, ReadOnlyError):
        return "read-only"
    return "disk" if str(error).startswith("MISCONF") else "other"


def text(value: Any) -> str:
    """What Redis gives as bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)
