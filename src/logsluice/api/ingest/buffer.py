"""Events that wait on disk while Kafka is away: accepted is on the disk, whatever is killed.

One SQLite file of one process, written with a sync for each group of posts that came meanwhile. What waits keeps the
order in which it came; what was stored stays for a while without its content, for its ticket.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial, wraps
from pathlib import Path
from typing import Concatenate, Final, Literal, NamedTuple, ParamSpec, TypeVar

import orjson
from pydantic import BaseModel

from logsluice.api.background import Batcher
from logsluice.api.ingest.producer import Record
from logsluice.api.ingest.topic_offsets import DeliveryAttempt, EndOffsets
from logsluice.errors import LogsluiceError
from logsluice.runtime import metrics
from logsluice.settings import ApiBufferSettings

P = ParamSpec("P")
T = TypeVar("T")
_FILE: Final = "buffer.sqlite"
_EVENT_OVERHEAD: Final = 200
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS posts (
  post TEXT PRIMARY KEY, owner TEXT, confirmed INTEGER NOT NULL, sent_ms INTEGER, topic_id TEXT, starts BLOB,
  ended_ms INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, post TEXT NOT NULL, number INTEGER NOT NULL, value BLOB, key BLOB,
  headers BLOB, id TEXT, refused TEXT
);
CREATE UNIQUE INDEX IF NOT EXISTS events_by_post ON events (post, number);
CREATE INDEX IF NOT EXISTS events_waiting ON events (seq) WHERE value IS NOT NULL;
"""


class BufferFullError(Exception):
    """The buffer holds as much as it may."""


class PostPendingError(Exception):
    """An earlier post with this id waits, whose idempotency key was forgotten meanwhile."""


class BufferedEvent(NamedTuple):
    """An event that waits: its place in the order, its post, its number there, and its record without the mark."""

    seq: int
    post: str
    number: int
    record: Record


class PostState(NamedTuple):
    """What is known of a post beside its events.

    Attributes:
        owner: Who has its idempotency key; None where it has none.
        confirmed: Whether the key is known to be its owner's for good.
        attempt: Set where Kafka may have some of it.
    """

    owner: str | None
    confirmed: bool
    attempt: DeliveryAttempt | None


class TicketItem(BaseModel):
    """What became of an event that waited.

    Attributes:
        status: Whether it still does.
        id: Where it is stored.
        detail: Why Kafka refused it.
    """

    status: Literal["waiting", "stored", "refused"]
    id: str | None = None
    detail: str | None = None


class _Post(NamedTuple):
    post: str
    rows: Sequence[tuple[int, Record]]
    state: PostState


def _in_buffer_thread(
    method: Callable[Concatenate[EventBuffer, P], T],
) -> Callable[Concatenate[EventBuffer, P], Awaitable[T]]:
    """Run a method of the buffer on the buffer's own thread, where the database is."""

    @wraps(method)
    async def run(self: EventBuffer, /, *args: P.args, **kwargs: P.kwargs) -> T:
        work = partial(method, self, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    return run


class EventBuffer:
    """The file and what is in it.

    Raises:
        LogsluiceError: Another process has it, or it cannot be written.
    """

    def __init__(self, settings: ApiBufferSettings) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(1, "buffer")
        self._posts: Batcher[_Post, None] = Batcher(self._insert)
        self.events = 0
        self.bytes = 0
        self.filled = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def opened(cls, settings: ApiBufferSettings, directory: Path) -> AsyncIterator[EventBuffer]:
        """The buffer of a folder, which is made where it is not there."""
        buffer = cls(settings)
        try:
            await buffer._open(directory)
        except (sqlite3.Error, OSError) as error:
            raise LogsluiceError(
                "cannot be used as a buffer",
                where=str(directory),
                why=str(error),
                hint="each instance needs a folder of its own, which it may write to: LOGSLUICE_API__BUFFER__DIRECTORY",
            ) from None
        buffer._count(0, 0)
        try:
            yield buffer
        finally:
            await buffer._posts.close(finish=True)
            await buffer._close()
            buffer._thread.shutdown()

    async def put(self, post: str, rows: Sequence[tuple[int, Record]], state: PostState) -> None:
        """Take a post's events, each with its number in the post; come back when they are on the disk.

        A post with this id that has ended is forgotten: its idempotency key was, or this one would not be here.

        Raises:
            BufferFullError: They do not fit.
            PostPendingError: A post with this id waits.
            sqlite3.Error: The disk does not take them.
        """
        size = sum(len(record.value) + _EVENT_OVERHEAD for _, record in rows)
        if self.bytes + size > self._settings.max_bytes:
            raise BufferFullError
        # Counted before they are written, so that others do not count on the same room.
        self._count(len(rows), size)
        try:
            await self._posts.submit(_Post(post, rows, state))
        except Exception:
            self._count(-len(rows), -size)
            raise

    @_in_buffer_thread
    def adopt(self, post: str, owner: str) -> bool:
        """Give a post that waits to whoever has its idempotency key now; whether there is one."""
        with self._database as database:
            changed = database.execute("UPDATE posts SET owner = ? WHERE post = ? AND ended_ms IS NULL", (owner, post))
        return changed.rowcount > 0

    @_in_buffer_thread
    def confirm(self, post: str) -> None:
        """The post's idempotency key is its owner's for good."""
        with self._database as database:
            database.execute("UPDATE posts SET confirmed = 1 WHERE post = ?", (post,))

    @_in_buffer_thread
    def oldest(self, count: int, most_bytes: int) -> list[BufferedEvent]:
        """The events that wait longest, in order."""
        found: list[BufferedEvent] = []
        size = 0
        rows = self._database.execute(
            "SELECT seq, post, number, value, key, headers FROM events WHERE value IS NOT NULL ORDER BY seq LIMIT ?",
            (count,),
        )
        for seq, post, number, value, key, headers in rows:
            size += len(value)
            if found and size > most_bytes:
                break
            found.append(BufferedEvent(seq, post, number, Record(value, key, _unpacked(headers))))
        return found

    @_in_buffer_thread
    def states(self, posts: set[str]) -> dict[str, PostState]:
        """What is known of posts."""
        return {post: state for post in posts if (state := self._state(post)) is not None}

    @_in_buffer_thread
    def begin(self, posts: set[str], attempt: DeliveryAttempt) -> None:
        """Posts are about to be handed to Kafka; of an earlier attempt, its beginning is kept."""
        with self._database as database:
            database.executemany(
                "UPDATE posts SET sent_ms = ?, topic_id = coalesce(topic_id, ?), starts = coalesce(starts, ?)"
                " WHERE post = ?",
                [(attempt.sent_ms, attempt.end.topic_id, attempt.end.packed(), post) for post in posts],
            )

    async def settle(
        self, stored: Sequence[tuple[BufferedEvent, str]], refused: Sequence[tuple[BufferedEvent, str]]
    ) -> None:
        """Events that need not wait any longer: those that are stored with their ids, those refused with why."""
        settled = [waiting for waiting, _ in (*stored, *refused)]
        ids = [(event_id, None, waiting.seq) for waiting, event_id in stored]
        reasons = [(None, reason, waiting.seq) for waiting, reason in refused]
        await self._settle([*ids, *reasons], {waiting.post for waiting in settled})
        self._count(-len(settled), -sum(len(waiting.record.value) + _EVENT_OVERHEAD for waiting in settled))

    async def drop(self, post: str, owner: str) -> None:
        """Forget a post that is another's to store, unless it was adopted meanwhile."""
        events, size = await self._drop(post, owner)
        self._count(-events, -size)

    @_in_buffer_thread
    def ticket(self, post: str) -> list[TicketItem] | None:
        """What became of a post's events; None where there is none such here, or not any more."""
        if self._state(post) is None:
            return None
        rows = self._database.execute(
            "SELECT value IS NULL, id, refused FROM events WHERE post = ? ORDER BY number", (post,)
        )
        return [
            TicketItem(
                status="waiting" if not over else "stored" if event_id else "refused", id=event_id, detail=refused
            )
            for over, event_id, refused in rows
        ]

    @_in_buffer_thread
    def expire(self) -> None:
        """Forget posts whose tickets are out of date."""
        before = (_now_ms() - self._settings.ticket_seconds * 1_000,)
        with self._database as database:
            database.execute("DELETE FROM events WHERE post IN (SELECT post FROM posts WHERE ended_ms < ?)", before)
            database.execute("DELETE FROM posts WHERE ended_ms < ?", before)

    def _count(self, events: int, size: int) -> None:
        self.events += events
        self.bytes += size
        metrics.API_BUFFER_EVENTS.set(self.events)
        metrics.API_BUFFER_BYTES.set(self.bytes)
        if self.events:
            self.filled.set()
        else:
            self.filled.clear()

    @_in_buffer_thread
    def _open(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._database = sqlite3.connect(
            directory / _FILE, timeout=1, check_same_thread=False, isolation_level="IMMEDIATE"
        )
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.executescript(_TABLES)
        # Takes the lock for good.
        with self._database as database:
            database.execute("DELETE FROM posts WHERE post = ''")
        self.events, self.bytes = self._count_waiting()

    @_in_buffer_thread
    def _close(self) -> None:
        self._database.close()

    @_in_buffer_thread
    def _insert(self, posts: Sequence[_Post]) -> list[Exception | None]:
        """Write posts in one transaction, but for those of whose id one waits."""
        outcomes: list[Exception | None] = []
        with self._database as database:
            for post, rows, state in posts:
                if database.execute("SELECT 1 FROM posts WHERE post = ? AND ended_ms IS NULL", (post,)).fetchone():
                    outcomes.append(PostPendingError(post))
                    continue
                self._forget(post)
                sent_ms, end = state.attempt or (None, None)
                database.execute(
                    "INSERT INTO posts VALUES (?, ?, ?, ?, ?, ?, NULL)",
                    (post, state.owner, state.confirmed, sent_ms, end and end.topic_id, end and end.packed()),
                )
                database.executemany(
                    "INSERT INTO events (post, number, value, key, headers) VALUES (?, ?, ?, ?, ?)",
                    [(post, number, record.value, record.key, _packed(record.headers)) for number, record in rows],
                )
                outcomes.append(None)
        return outcomes

    @_in_buffer_thread
    def _settle(self, rows: Sequence[tuple[str | None, str | None, int]], posts: set[str]) -> None:
        now = _now_ms()
        with self._database as database:
            database.executemany(
                "UPDATE events SET value = NULL, key = NULL, headers = NULL, id = ?, refused = ? WHERE seq = ?", rows
            )
            database.executemany(
                "UPDATE posts SET ended_ms = ? WHERE post = ?"
                " AND NOT EXISTS (SELECT 1 FROM events WHERE events.post = posts.post AND value IS NOT NULL)",
                [(now, post) for post in posts],
            )

    @_in_buffer_thread
    def _drop(self, post: str, owner: str) -> tuple[int, int]:
        state = self._state(post)
        if state is None or state.owner != owner:
            return 0, 0
        waiting = self._count_waiting(post)
        with self._database:
            self._forget(post)
        return waiting

    # What follows is called on the buffer's thread.

    def _forget(self, post: str) -> None:
        self._database.execute("DELETE FROM events WHERE post = ?", (post,))
        self._database.execute("DELETE FROM posts WHERE post = ?", (post,))

    def _count_waiting(self, post: str | None = None) -> tuple[int, int]:
        """How many events wait, of all posts or of one, and the bytes that they are counted with."""
        events, size = self._database.execute(
            "SELECT count(*), coalesce(sum(length(value)), 0) FROM events"
            " WHERE value IS NOT NULL AND (?1 IS NULL OR post = ?1)",
            (post,),
        ).fetchone()
        return events, size + events * _EVENT_OVERHEAD

    def _state(self, post: str) -> PostState | None:
        row = self._database.execute(
            "SELECT owner, confirmed, sent_ms, topic_id, starts FROM posts WHERE post = ?", (post,)
        ).fetchone()
        if row is None:
            return None
        owner, confirmed, sent_ms, topic_id, starts = row
        attempt = None if starts is None else DeliveryAttempt(sent_ms, EndOffsets.unpacked(topic_id, starts))
        return PostState(owner, bool(confirmed), attempt)


def _packed(headers: tuple[tuple[str, bytes], ...]) -> bytes | None:
    """The headers that may be there are ASCII: those of what was cut."""
    return orjson.dumps({name: value.decode("ascii") for name, value in headers}) if headers else None


def _unpacked(headers: bytes | None) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, value.encode()) for name, value in orjson.loads(headers).items()) if headers else ()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
