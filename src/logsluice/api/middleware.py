"""ASGI middleware around every request: request id, metrics and the access log.

A plain ASGI middleware: it copies nothing and streams what it is given.
"""

from __future__ import annotations

import re
import time
import uuid
from typing import Any, Final

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from logsluice.api.problems import ProblemError, as_problem
from logsluice.runtime import metrics
from logsluice.settings import ApiSettings

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}", re.ASCII)
_LONGEST_LOGGED: Final = 500
_QUIET: Final = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})
_UNKNOWN_ROUTE: Final = "unmatched"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

log = structlog.get_logger("logsluice.api.access")


class RequestMiddleware:
    """Gives each request an id, measures it, and logs it in ECS.

    Where the application fails before it has answered, this answers; the server never does.
    """

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_at = time.perf_counter()
        headers = Headers(scope=scope)
        header = headers.get("x-request-id", "")
        request_id = header if _REQUEST_ID.fullmatch(header) else uuid.uuid4().hex
        scope["request_id"] = request_id
        mark = (b"x-request-id", request_id.encode())
        status = 0
        sent = 0

        async def send_counted(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), mark, *scope.get("response_headers", ())]
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)

        metrics.API_REQUESTS_IN_PROGRESS.inc()
        structlog.contextvars.bind_contextvars(**{"http.request.id": request_id})
        try:
            await self._app(scope, receive, send_counted)
        except Exception as error:
            if status:
                raise
            problem = error if isinstance(error, ProblemError) else as_problem(error)
            await problem.response(request_id)(scope, receive, send_counted)
        finally:
            metrics.API_REQUESTS_IN_PROGRESS.dec()
            self._record(scope, headers, status, sent, time.perf_counter() - started_at)
            structlog.contextvars.clear_contextvars()

    def _record(self, scope: Scope, headers: Headers, status: int, sent: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", _UNKNOWN_ROUTE)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        # A client that went away before it was answered: 499, as nginx logs it.
        metrics.API_REQUESTS.labels(method, route, str(status or 499)).inc()
        metrics.API_REQUEST_DURATION.labels(method, route).observe(seconds)
        if route in _QUIET and status < 500:
            return
        fields: dict[str, Any] = {
            "http.request.method": method,
            "url.path": scope["path"][:_LONGEST_LOGGED],
            "http.response.status_code": status or 499,
            "http.response.body.bytes": sent,
            "event.duration": round(seconds * 1e9),
            "event.kind": "event",
            "event.category": "web",
        }
        if scope["query_string"]:
            fields["url.query"] = scope["query_string"][:_LONGEST_LOGGED].decode("ascii", "replace")
        if scope.get("client"):
            fields["source.ip"] = scope["client"][0]
        if (caller := scope.get("caller")) is not None:
            fields["user.id"] = caller.id
        if agent := headers.get("user-agent"):
            fields["user_agent.original"] = agent[:_LONGEST_LOGGED]
        if length := headers.get("content-length"):
            fields["http.request.body.bytes"] = int(length) if length.isascii() and length.isdigit() else None
        log.info(f"{method} {fields['url.path']} {status or 499}", **fields)
