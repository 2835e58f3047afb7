"""HTTP/1.1 as uvicorn speaks it, with bounds on what comes before a request reaches the application, and on how long
its answer may lie unread.
"""

from __future__ import annotations

import socket
from asyncio import TimerHandle, Transport
from http import HTTPStatus
from typing import Any, ClassVar, Final

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from logsluice.api.problems import MEDIA_TYPE, ProblemError
from logsluice.runtime import metrics
from logsluice.settings import ApiLimits

# What the kernel keeps of an answer beyond what its reader has room for; it would else be megabytes.
_UNSENT_BYTES: Final = 131_072


class BoundedProtocol(HttpToolsProtocol):
    """A connection whose requests begin soon and have headers of a bounded size; others are answered and closed. One
    whose reader stopped reading is ended.

    httptools itself keeps what it is sent until a header ends, however long that takes.
    """

    limits: ClassVar[ApiLimits]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = True
        self._head_bytes = 0
        self._head_timer: TimerHandle | None = None
        self._unread_timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        self._await_head()
        if len(self.connections) > self.limits.concurrency:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections", "connections", retry_after=1)

    def connection_lost(self, exc: Exception | None) -> None:
        """A client has gone."""
        self._head_is_here()
        self._is_read()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The reader takes less than it is sent."""
        super().pause_writing()
        if self._unread_timer is None:
            self._unread_timer = self.loop.call_later(self.limits.unread_seconds, self._is_unread)

    def resume_writing(self) -> None:
        """The reader has taken what was sent."""
        self._is_read()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """A client has sent something."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > self.limits.header_bytes:
                self._refuse_head()
            elif self._head_timer is None:
                self._await_head()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A request's headers are here."""
        self._head_is_here()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.limits.header_bytes:
            self._refuse_head()
        elif not self.transport.is_closing():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request's body is here."""
        self._in_head = False
        if self.cycle is not None:
            super().on_message_complete()

    def on_body(self, body: bytes) -> None:
        """Some of a request's body is here."""
        if self.cycle is not None:
            super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """What came is not HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, msg, "http")

    def _is_unread(self) -> None:
        metrics.API_REFUSED.labels("unread").inc()
        # To close would mean to wait until all is read.
        self.transport.abort()

    def _is_read(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.limits.header_seconds, self._head_is_late)

    def _head_is_here(self) -> None:
        self._in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if not self._head_bytes:
            # Nothing was asked, so there is nothing to answer.
            self.transport.close()
            return
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, "the headers came too slowly", "slow")

    def _refuse_head(self) -> None:
        self._refuse(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"the request line and headers may have {self.limits.header_bytes:,} bytes",
            "headers",
        )

    def _refuse(self, status: HTTPStatus, detail: str, reason: str, **options: Any) -> None:
        if self.transport.is_closing():
            return
        metrics.API_REFUSED.labels(reason).inc()
        problem = ProblemError(status, detail, **options)
        body = orjson.dumps(problem.body())
        headers = {
            **problem.headers,
            "Content-Type": MEDIA_TYPE,
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.transport.write(f"HTTP/1.1 {int(status)} {status.phrase}\r\n{head}\r\n".encode() + body)
        self.transport.close()


def bounded(limits: ApiLimits) -> type[BoundedProtocol]:
    """The protocol with these bounds, as uvicorn makes one for each connection."""
    return type("Protocol", (BoundedProtocol,), {"limits": limits})
