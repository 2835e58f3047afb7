"""The cache of responses that do not change any more.

They lie in the Redis for what may be lost, where every instance finds them; without it, or while it is away, in this
process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson
import zstandard
from cachetools import TLRUCache

from logsluice.api.redis_store import RedisUnavailableError, SharedStore
from logsluice.runtime import metrics

_LARGEST: Final = 4_194_304
_TAG_LENGTH: Final = 32


class TaggedBody(NamedTuple):
    """An answer as it goes out.

    Attributes:
        body: JSON.
        tag: Its entity tag (RFC 9110, section 8.8.3): the same for the same bytes on every instance.
    """

    body: bytes
    tag: str

    @classmethod
    def of(cls, body: bytes) -> TaggedBody:
        """The answer with this body."""
        return cls(body, f'"{hashlib.sha256(body).hexdigest()[:_TAG_LENGTH]}"')


class _Entry(NamedTuple):
    packed: bytes
    seconds: int


class ResponseCache:
    """Keeps answers for a while: in the store, or in this process up to so many bytes where that does not answer."""

    def __init__(self, store: SharedStore, *, largest: int) -> None:
        self._store = store
        self._own: TLRUCache[str, _Entry] = TLRUCache(
            maxsize=largest, ttu=lambda _key, entry, now: now + entry.seconds, getsizeof=lambda entry: len(entry.packed)
        )

    async def find(self, question: Mapping[str, Any]) -> TaggedBody | None:
        """The answer that was kept for a question; None where there is none any more."""
        key = _key(question)
        found: bytes | None
        try:
            found = await self._store.execute(lambda redis: redis.get(self._store.key("cache", key)))
        except RedisUnavailableError:
            entry = self._own.get(key)
            found = entry.packed if entry else None
        metrics.API_CACHE.labels("miss" if found is None else "hit").inc()
        if found is None:
            return None
        try:
            return TaggedBody.of(zstandard.decompress(found))
        except zstandard.ZstdError:
            # Whatever lies there was not put there by this: it is asked for anew, and replaced.
            return None

    async def store(self, question: Mapping[str, Any], answer: TaggedBody, seconds: int) -> None:
        """Keep an answer for so long; one that is too large is not kept."""
        packed = zstandard.compress(answer.body)
        if len(packed) > _LARGEST:
            return
        key = _key(question)
        try:
            await self._store.execute(lambda redis: redis.set(self._store.key("cache", key), packed, ex=seconds))
        except RedisUnavailableError:
            if len(packed) <= self._own.maxsize:
                self._own[key] = _Entry(packed, seconds)


def _key(question: Mapping[str, Any]) -> str:
    """A key that no two questions share."""
    return hashlib.sha256(orjson.dumps(question, option=orjson.OPT_SORT_KEYS)).hexdigest()
