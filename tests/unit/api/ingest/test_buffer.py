"""Events that wait on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from logsluice.api.ingest.buffer import BufferFullError, EventBuffer, PostPendingError, PostState
from logsluice.api.ingest.producer import Record
from logsluice.api.ingest.topic_offsets import DeliveryAttempt, EndOffsets
from logsluice.errors import LogsluiceError
from logsluice.settings import ApiBufferSettings

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def buffer_settings(tmp_path: Path, **options: int) -> ApiBufferSettings:
    return ApiBufferSettings(directory=tmp_path, **options)


def records(*values: str) -> list[tuple[int, Record]]:
    return [(number, Record(value.encode(), b"k", (("h", b"1"),))) for number, value in enumerate(values)]


ACCEPTED = PostState(None, True, None)


def test_what_is_in_the_buffer_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    attempt = DeliveryAttempt(17, EndOffsets("topic", {0: 5, 1: 7}))

    async def fill() -> None:
        async with EventBuffer.opened(buffer_settings(tmp_path), tmp_path) as buffer:
            await asyncio.gather(*(buffer.put(f"p{number}", records("a", "b"), ACCEPTED) for number in range(50)))
            await buffer.put("q", records("c"), PostState("owner", False, attempt))
            with pytest.raises(LogsluiceError, match="a folder of its own"):
                async with EventBuffer.opened(buffer_settings(tmp_path), tmp_path):
                    pass

    async def check() -> None:
        async with EventBuffer.opened(buffer_settings(tmp_path), tmp_path) as buffer:
            assert buffer.events == 101
            waiting = await buffer.oldest(1_000, 1_000_000)
            assert [event.seq for event in waiting] == sorted(event.seq for event in waiting)
            assert waiting[-1].record == Record(b"c", b"k", (("h", b"1"),))
            assert [event.number for event in waiting if event.post == "p7"] == [0, 1]
            states = await buffer.states({"q", "p0", "none"})
            assert states == {"q": PostState("owner", False, attempt), "p0": ACCEPTED}
            assert len(await buffer.oldest(1_000, 10)) == 10

    run(fill())
    run(check())


def test_events_leave_the_buffer_and_their_tickets_stay_for_a_while(tmp_path: Path) -> None:
    async def story() -> None:
        async with EventBuffer.opened(buffer_settings(tmp_path, ticket_seconds=1), tmp_path) as buffer:
            await buffer.put("p", records("a", "b"), ACCEPTED)
            first, second = await buffer.oldest(10, 1_000)
            begun = DeliveryAttempt(5, EndOffsets("t", {0: 1}))
            await buffer.begin({"p"}, begun)
            await buffer.begin({"p"}, DeliveryAttempt(9, EndOffsets("u", {0: 8})))
            # Where it was first handed over from counts, and when it last was.
            assert (await buffer.states({"p"}))["p"].attempt == DeliveryAttempt(9, begun.end)
            await buffer.settle([(first, "id-1")], [])
            ticket = await buffer.ticket("p")
            assert ticket is not None
            assert [event.status for event in ticket] == ["stored", "waiting"]
            assert buffer.filled.is_set()
            await buffer.settle([], [(second, "too large")])
            ticket = await buffer.ticket("p")
            assert ticket is not None
            assert [(event.status, event.id, event.detail) for event in ticket] == [
                ("stored", "id-1", None),
                ("refused", None, "too large"),
            ]
            assert (buffer.events, buffer.bytes) == (0, 0)
            assert not buffer.filled.is_set()
            await buffer.expire()
            assert await buffer.ticket("p") is not None
            await asyncio.sleep(1.1)
            await buffer.expire()
            assert await buffer.ticket("p") is None

    run(story())


def test_a_full_buffer_takes_nothing_more(tmp_path: Path) -> None:
    async def story() -> None:
        async with EventBuffer.opened(buffer_settings(tmp_path, max_bytes=1_000), tmp_path) as buffer:
            await buffer.put("p", records("a" * 500), ACCEPTED)
            with pytest.raises(BufferFullError):
                await buffer.put("q", records("b" * 500), ACCEPTED)
            assert await buffer.ticket("q") is None
            await buffer.settle([(event, "id") for event in await buffer.oldest(1, 1)], [])
            assert buffer.bytes == 0
            await buffer.put("q", records("b" * 500), ACCEPTED)

    run(story())


def test_a_post_whose_key_was_forgotten_is_another_post(tmp_path: Path) -> None:
    async def story() -> None:
        async with EventBuffer.opened(buffer_settings(tmp_path), tmp_path) as buffer:
            await buffer.put("p", records("a"), ACCEPTED)
            # Neither is the first one lost nor the second one taken for it.
            with pytest.raises(PostPendingError):
                await buffer.put("p", records("b"), ACCEPTED)
            (first,) = await buffer.oldest(10, 1_000)
            assert (first.record.value, buffer.events) == (b"a", 1)
            await buffer.settle([(first, "id-1")], [])
            assert buffer.events == 0
            await buffer.put("p", records("b"), ACCEPTED)
            (second,) = await buffer.oldest(10, 1_000)
            assert (second.record.value, buffer.events) == (b"b", 1)
            ticket = await buffer.ticket("p")
            assert ticket is not None
            assert [event.status for event in ticket] == ["waiting"]

    run(story())


def test_a_post_is_dropped_only_for_the_owner_it_still_has(tmp_path: Path) -> None:
    async def story() -> None:
        async with EventBuffer.opened(buffer_settings(tmp_path), tmp_path) as buffer:
            await buffer.put("p", records("a"), PostState("first", False, None))
            assert await buffer.adopt("p", "second")
            await buffer.drop("p", "first")
            assert (buffer.events, (await buffer.states({"p"}))["p"].owner) == (1, "second")
            await buffer.drop("p", "second")
            assert (buffer.events, buffer.bytes) == (0, 0)
            assert not await buffer.adopt("p", "third")

    run(story())


def test_whoever_posts_is_told_of_any_failure(tmp_path: Path) -> None:
    async def story() -> None:
        async with EventBuffer.opened(buffer_settings(tmp_path), tmp_path) as buffer:
            with pytest.raises(UnicodeDecodeError):
                await asyncio.wait_for(buffer.put("p", [(0, Record(b"a", None, (("h", b"\xff"),)))], ACCEPTED), 5)
            assert (buffer.events, await buffer.ticket("p")) == (0, None)

    run(story())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.joinpath("file").write_text("")

    async def story() -> None:
        async with EventBuffer.opened(buffer_settings(tmp_path), tmp_path / "file"):
            pass

    with pytest.raises(LogsluiceError, match="LOGSLUICE_API__BUFFER__DIRECTORY"):
        run(story())
