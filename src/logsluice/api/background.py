"""Work that goes on beside the requests: for as long as something is open, or for several who wait at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@asynccontextmanager
async def in_background(work: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
    """Run a coroutine until the block is left, which cancels it."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Batcher(Generic[Item, Result]):
    """Does work for all items that came while it was last at work, together.

    Args:
        work: Gives a result or an error for each item, in their order.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]]) -> None:
        self._work = work
        self._pending: list[tuple[Item, asyncio.Future[Result]]] = []
        self._task: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """The result for an item.

        Raises:
            Exception: Its error, or whatever the work of its batch ended with.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._pending.append((item, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return await future

    async def close(self, *, finish: bool) -> None:
        """Wait for what is at work, or give it up where it need not ``finish``."""
        if self._task is not None:
            if not finish:
                self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while self._pending:
            batch, self._pending = self._pending, []
            results: Sequence[Result | Exception]
            try:
                results = await self._work([item for item, _ in batch])
            except Exception as error:
                # Whatever it is, those who wait hear of it.
                results = [error] * len(batch)
            for (_, future), result in zip(batch, results, strict=True):
                if future.done():
                    continue
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)
