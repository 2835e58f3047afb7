"""Facts that an external processor found, merged into the result of their event.

A result is written with ``external_gte`` and the registry's revision as its version. What is merged gets the version
above that of the result it was merged into: replaying the same revision cannot take it away again, while facts of a
newer revision still replace it. So whoever adds facts runs again after the revision was raised.

The first merge is made on the condition that nobody wrote meanwhile (``if_seq_no``), which gives that very version:
where the event was extracted again meanwhile, facts are merged into what that found. Later merges keep the version, so
only one of them may be at work on an event at a time; and as a newer revision's result may have that version too, one
that is written between a later merge's reading and writing is replaced by the facts of before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final
from weakref import WeakValueDictionary

from redis.exceptions import LockError, RedisError

from logsluice.api.problems import unavailable
from logsluice.api.query.conditions import LABELS
from logsluice.api.query.repository import AGAIN_SECONDS, EventRepository
from logsluice.api.redis_store import RedisUnavailableError, SharedStore
from logsluice.errors import LogsluiceError
from logsluice.event.ecs import FieldType
from logsluice.extract.values import read_value
from logsluice.runtime.time_expressions import parse_moment

Scalar = str | int | float | bool
_PROTECTED: Final = ("@timestamp", "message", "event.dataset", "event.id", "event.hash", "event.original", "tags")
_PROTECTED_GROUPS: Final = ("kafka.", "logsluice.")
LOCK_SECONDS: Final = 15
_LOCK_WAIT_SECONDS: Final = 5
# When the lock is over, another may write.
WORK_SECONDS: Final = 10
_ATTEMPTS: Final = 5
_LONGEST_TEXT: Final = 8_191


def checked_facts(facts: Mapping[str, Scalar], fields: Mapping[str, FieldType]) -> dict[str, Scalar]:
    """Facts as a result keeps them: each of its field's type.

    Raises:
        LogsluiceError: A field is not known or not to be changed, or a value is not of its type.
    """
    return {name: _checked(name, value, _type(name, fields)) for name, value in facts.items()}


def _type(name: str, fields: Mapping[str, FieldType]) -> FieldType:
    if name in _PROTECTED or name.startswith(_PROTECTED_GROUPS):
        raise LogsluiceError("says what the event is, and cannot be changed", where=name)
    if name.startswith(LABELS) and len(name) > len(LABELS):
        return "keyword"
    if name not in fields:
        raise LogsluiceError("no field of a result", where=name, hint="use an ECS field, or labels.<name>")
    return fields[name]


def _checked(name: str, value: Scalar, kind: FieldType) -> Scalar:
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        raise LogsluiceError("too long", where=name, why=f"more than {_LONGEST_TEXT} characters")
    if kind == "date" and isinstance(value, str):
        return parse_moment(value).isoformat().replace("+00:00", "Z")
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        text = str(int(value))
    else:
        text = str(value)
    read = read_value(text, kind) if kind != "date" else None
    if read is None:
        raise LogsluiceError(f"not a value of type {kind}", where=f"{name}={text[:100]}")
    return read


def merged(document: Mapping[str, Any], processor: str, facts: Mapping[str, Scalar]) -> dict[str, Any]:
    """A result with further checked facts of a processor, as a new document; a fact that is there is replaced."""
    result = dict(document)
    own = dict(result.get("logsluice", {}))
    own["processors"] = sorted({*own.get("processors", ()), processor})
    result["logsluice"] = own
    for name, value in facts.items():
        if name.startswith(LABELS):
            # Labels are flat: what follows the first dot is one name.
            result["labels"] = {**result.get("labels", {}), name.removeprefix(LABELS): value}
            continue
        *parents, leaf = name.split(".")
        target = result
        for parent in parents:
            target[parent] = dict(target.get(parent, {}))
            target = target[parent]
        target[leaf] = value
    return result


class Merger:
    """Merges facts into results, one writer an event at a time, across instances where there is a Redis."""

    def __init__(self, repository: EventRepository, shared: SharedStore) -> None:
        self._repository = repository
        self._shared = shared
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def merge(
        self, index: str, event_id: str, processor: str, facts: Mapping[str, Scalar]
    ) -> dict[str, Any] | None:
        """Merge facts into the result of an event and give it back; None where it has none.

        Doing it twice is doing it once.

        Raises:
            ProblemError: 503 while Elasticsearch or the Redis that is configured is away.
        """
        try:
            async with self._exclusive(event_id), asyncio.timeout(WORK_SECONDS):
                return await self._merge(index, event_id, processor, facts)
        except TimeoutError:
            raise unavailable("Elasticsearch takes too long", AGAIN_SECONDS) from None

    async def _merge(
        self, index: str, event_id: str, processor: str, facts: Mapping[str, Scalar]
    ) -> dict[str, Any] | None:
        for _ in range(_ATTEMPTS):
            stored = await self._repository.document(index, event_id)
            if stored is None:
                return None
            document = merged(stored["_source"], processor, facts)
            if document == stored["_source"]:
                return document
            revision = int(stored["_source"]["logsluice"]["revision"])
            if stored["_version"] <= revision:
                condition = {"if_seq_no": stored["_seq_no"], "if_primary_term": stored["_primary_term"]}
            else:
                condition = {"version": stored["_version"], "version_type": "external_gte"}
            if await self._repository.write(index, event_id, document, **condition):
                return document
        raise unavailable("others keep changing this result", AGAIN_SECONDS)

    @asynccontextmanager
    async def _exclusive(self, event_id: str) -> AsyncIterator[None]:
        lock = self._locks.setdefault(event_id, asyncio.Lock())
        async with lock:
            if not self._shared.configured:
                yield
                return
            shared_lock = await self._shared_lock(event_id)
            try:
                yield
            finally:
                # A lock that cannot be given back ends by itself in a moment.
                with suppress(LockError, RedisError, OSError):
                    await shared_lock.release()

    async def _shared_lock(self, event_id: str) -> Any:
        try:
            async with asyncio.timeout(_LOCK_WAIT_SECONDS):
                return await self._shared.execute(lambda redis: _acquired(redis, self._shared.key("merge", event_id)))
        except (RedisUnavailableError, TimeoutError) as error:
            reason = str(error) or "it does not answer"
            raise unavailable(f"Redis keeps writers of one result apart: {reason}", AGAIN_SECONDS) from None


async def _acquired(redis: Any, name: str) -> Any:
    lock = redis.lock(name, timeout=LOCK_SECONDS)
    await lock.acquire()
    return lock
