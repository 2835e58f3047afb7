"""The live tail: results as they come in, to everyone who follows, from where each of them was.

Elasticsearch numbers the writes of a shard in their order (``_seq_no``), and every dated index is one shard. A
follower's position is the number of the last write it has seen in yesterday's and today's index, so going on from there
misses nothing and repeats nothing. Writes may become visible out of order: only numbers up to the checkpoint, below
which every write is in place, as it was a refresh ago, are looked at. A result whose facts change is written anew, and
comes again.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from logsluice.api.query.repository import EventRepository
from logsluice.elasticsearch.queries import Body, every
from logsluice.errors import LogsluiceError

POLL_SECONDS: Final = 1.0
# Longer than the indices' `refresh_interval`, after which a write that is in place is also found.
_VISIBLE_SECONDS: Final = 1.5
_SHARED_SECONDS: Final = 0.5
MOST_AT_ONCE: Final = 500
NOTHING: Final = -1
_POSITION: Final = re.compile(r"\d{4}\.\d\d\.\d\d=\d{1,18}(?:,\d{4}\.\d\d\.\d\d=\d{1,18})?", re.ASCII)

Positions = dict[str, int]
"""The number of the last write that was seen, by day as index names carry it."""


class TailEvent(NamedTuple):
    """A result, and the position to go on from after it."""

    position: str
    document: dict[str, Any]


def write_position(positions: Mapping[str, int]) -> str:
    """Positions as the ``id`` of a server-sent event."""
    return ",".join(f"{day}={number}" for day, number in sorted(positions.items()) if number > NOTHING)


def read_position(text: str) -> Positions:
    """Positions of a ``Last-Event-ID``.

    Raises:
        LogsluiceError: The text is none.
    """
    if not _POSITION.fullmatch(text):
        raise LogsluiceError("not the id of an event of this stream", where="Last-Event-ID", hint="send it as it came")
    return {day: int(number) for day, _, number in (part.partition("=") for part in text.split(","))}


def days_of(now: datetime) -> tuple[str, str]:
    """Yesterday and today, as index names carry them: around midnight both get events."""
    return f"{now - timedelta(days=1):%Y.%m.%d}", f"{now:%Y.%m.%d}"


def tail_body(conditions: Sequence[Body], after: int, until: int) -> Body:
    """The writes with numbers above ``after`` and up to ``until``, in their order."""
    numbers = {"range": {"_seq_no": {"gt": after, "lte": until}}}
    return {
        "query": every(*conditions, numbers),
        "sort": [{"_seq_no": "asc"}],
        "size": MOST_AT_ONCE,
        "track_total_hits": False,
        "timeout": "5s",
        "_source": {"excludes": ["event.original"]},
    }


class Checkpoints:
    """Up to which number the writes of an index can all be found: one request for all who follow."""

    def __init__(self, repository: EventRepository, clock: Callable[[], float] = time.monotonic) -> None:
        self._repository = repository
        self._clock = clock
        self._fetched: deque[tuple[float, dict[str, int]]] = deque()
        self._lock = asyncio.Lock()

    async def visible(self, indices: Sequence[str]) -> dict[str, int]:
        """The newest checkpoints whose writes have become visible since."""
        async with self._lock:
            now = self._clock()
            if not self._fetched or now - self._fetched[-1][0] > _SHARED_SECONDS:
                self._fetched.append((now, await self._repository.checkpoints(indices)))
            while len(self._fetched) > 1 and now - self._fetched[1][0] >= _VISIBLE_SECONDS:
                self._fetched.popleft()
            fetched_at, found = self._fetched[0]
            return found if now - fetched_at >= _VISIBLE_SECONDS else {}


@dataclass(eq=False)
class Tail:
    """What one client follows: from positions on or else from now on, until ``stopping`` or no more ``admitted``."""

    repository: EventRepository
    checkpoints: Checkpoints
    alias: str
    conditions: Sequence[Body]
    positions: Positions | None
    stopping: asyncio.Event
    admitted: Callable[[], Awaitable[bool]]

    async def start(self) -> None:
        """Find out where now is, where no position was given.

        Raises:
            ProblemError: Elasticsearch is away.
        """
        if self.positions is None:
            names = {f"{self.alias}-{day}": day for day in days_of(datetime.now(UTC))}
            found = await self.repository.checkpoints(list(names))
            self.positions = {names[name]: number for name, number in found.items()}

    async def events(self) -> AsyncIterator[TailEvent]:
        """Events as they come, until the client goes away, loses its key, or the process is asked to stop.

        Raises:
            ProblemError: Elasticsearch is away.
        """
        assert self.positions is not None
        while not self.stopping.is_set() and await self.admitted():
            days = days_of(datetime.now(UTC))
            # A day that is over and was read to its end is of no interest any more.
            positions = {day: self.positions.get(day, NOTHING) for day in days}
            self.positions = positions
            limits = await self.checkpoints.visible([f"{self.alias}-{day}" for day in days])
            full = False
            for day in days:
                limit = limits.get(f"{self.alias}-{day}", NOTHING)
                if limit <= positions[day]:
                    continue
                body = tail_body(self.conditions, positions[day], limit)
                hits = (await self.repository.search(f"{self.alias}-{day}", body, "tail"))["hits"]["hits"]
                for hit in hits:
                    positions[day] = hit["sort"][0]
                    yield TailEvent(write_position(positions), hit["_source"])
                if len(hits) == MOST_AT_ONCE:
                    full = True
                else:
                    positions[day] = limit
            if not full:
                await self._pause()

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self.stopping.wait(), POLL_SECONDS)
        except TimeoutError:
            return
