"""A reader that stops reading is ended, and gives back what its answer holds; a slow one is not."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from fastapi import Depends, FastAPI
from fastapi.sse import EventSourceResponse, ServerSentEvent
from prometheus_client import REGISTRY

from logsluice.api.protocol import bounded
from logsluice.settings import ApiLimits

SECONDS = 1.0
REQUEST = b"GET /tail HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Streams:
    """An application with an endless stream, and how many of its streams are open."""

    def __init__(self, loop: str) -> None:
        self.open = 0
        self.loop = loop
        self.port = 0
        app = FastAPI()

        async def place() -> AsyncIterator[None]:
            self.open += 1
            try:
                yield
            finally:
                self.open -= 1

        @app.get("/tail", response_class=EventSourceResponse, dependencies=[Depends(place)])
        async def tail() -> AsyncIterator[ServerSentEvent]:
            while True:
                yield ServerSentEvent(data="x" * 1_000)
                await asyncio.sleep(0.0005)

        self.app = app

    @asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        limits = ApiLimits(unread_seconds=SECONDS)
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(self.app, http=bounded(limits), loop=self.loop, ws="none", log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listener]))
        try:
            yield
        finally:
            server.should_exit = server.force_exit = True
            await serving

    def connected(self) -> socket.socket:
        """A client that has asked, with little room for an answer."""
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        client.connect(("127.0.0.1", self.port))
        client.sendall(REQUEST)
        return client

    async def until(self, opened: int, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self.open != opened:
            assert time.monotonic() < end, f"{self.open} streams are open, not {opened}"
            await asyncio.sleep(0.02)


def unread() -> float:
    return REGISTRY.get_sample_value("logsluice_api_refused_total", {"reason": "unread"}) or 0


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_socket_that_is_never_read_gives_its_place_back(loop: str) -> None:
    async def work() -> None:
        streams = Streams(loop)
        async with streams.served():
            before = unread()
            clients = [streams.connected() for _ in range(3)]
            await streams.until(3, 10)
            await streams.until(0, 20)
            assert unread() == before + 3
            for client in clients:
                client.close()

    with asyncio.Runner(loop_factory=uvicorn.Config(None, loop=loop).get_loop_factory()) as runner:  # type: ignore[arg-type]
        runner.run(work())


def test_a_slow_reader_goes_on() -> None:
    async def work() -> None:
        streams = Streams("uvloop")
        async with streams.served():
            client = streams.connected()
            client.setblocking(False)
            end = time.monotonic() + 4 * SECONDS
            read = 0
            while time.monotonic() < end:
                await asyncio.sleep(SECONDS / 10)
                read += len(await asyncio.get_running_loop().sock_recv(client, 100_000))
            assert streams.open == 1
            assert read > 100_000
            client.close()
            await streams.until(0, 10)

    with asyncio.Runner(loop_factory=uvicorn.Config(None, loop="uvloop").get_loop_factory()) as runner:  # type: ignore[arg-type]
        runner.run(work())
