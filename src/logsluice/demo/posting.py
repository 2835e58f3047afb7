"""Sends demo traffic to the HTTP API."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from http import HTTPStatus
from threading import Event
from typing import Final

import httpx

from logsluice.demo.traffic import TrafficEvent
from logsluice.errors import LogsluiceError
from logsluice.runtime import metrics
from logsluice.runtime.retry import RetryContext, StoppedError, retry_on_unavailable
from logsluice.settings import ApiSettings

JOB: Final = "producer"
_EVENTS: Final = 500
_BYTES: Final = 1_000_000
_SECONDS: Final = 0.2
_TIMEOUT_SECONDS: Final = 30.0
_AGAIN: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS)


class _ServerBusyError(Exception):
    """The API says to ask again."""


class ApiDestination:
    """The HTTP API: events of one kind that follow each other go in one post.

    While it is away, or Kafka behind it, this waits. Where the API has a Redis, each post has an idempotency key, so
    that one whose answer was lost is stored once; otherwise such a post may be stored twice.

    Raises:
        LogsluiceError: It refuses the key.
        StoppedError: ``stop`` was set before it answered.
    """

    def __init__(self, settings: ApiSettings, stop: Event) -> None:
        headers = {"Authorization": f"Bearer {settings.key.get_secret_value()}"} if settings.key else {}
        self._client = httpx.Client(base_url=settings.base_url, headers=headers, timeout=_TIMEOUT_SECONDS)
        self._url = settings.base_url
        self._stop = stop
        self._sent = metrics.EVENTS_OUT.labels(JOB, "api")
        self._lines: list[bytes] = []
        self._bytes = 0
        self._path_and_type = ("", "")
        self._post_at = 0.0
        parts = self._request("GET", "/health").json()["parts"]
        self._keyed = parts["redis"]["status"] != "off"

    def send(self, event: TrafficEvent) -> None:
        """Take an event; those that are due are posted.

        Raises:
            LogsluiceError: The API refuses it.
        """
        line = event.line.encode()
        kind = _kind(line)
        if self._lines and kind != self._path_and_type:
            self._post()
        if not self._lines:
            self._post_at = time.monotonic() + _SECONDS
        self._path_and_type = kind
        self._lines.append(line)
        self._bytes += len(line) + 1
        alone = not kind[0].endswith("batch")
        if alone or len(self._lines) >= _EVENTS or self._bytes >= _BYTES or time.monotonic() > self._post_at:
            self._post()

    def flush(self) -> int:
        """Post what is left; gives how many events could not be posted before a stop."""
        with suppress(StoppedError):
            self._post()
        return len(self._lines)

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def _post(self) -> None:
        if not self._lines:
            return
        path, media_type = self._path_and_type
        headers = {"Content-Type": media_type}
        if self._keyed:
            headers["Idempotency-Key"] = str(uuid.uuid4())
        self._request("POST", path, content=b"\n".join(self._lines), headers=headers)
        self._sent.inc(len(self._lines))
        self._lines, self._bytes = [], 0

    def _request(self, method: str, path: str, **request: object) -> httpx.Response:
        def send() -> httpx.Response:
            answer = self._client.request(method, path, **request)  # type: ignore[arg-type]
            failed = answer.status_code == HTTPStatus.MULTI_STATUS and answer.json()["failed"]
            if failed or answer.status_code in _AGAIN or answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise _ServerBusyError(f"{answer.status_code} {_detail(answer)}")
            return answer

        answer = retry_on_unavailable(
            send,
            lambda error: isinstance(error, httpx.TransportError | _ServerBusyError),
            RetryContext("api", self._url, JOB, stop=self._stop),
        )
        if answer.status_code >= HTTPStatus.BAD_REQUEST or answer.status_code == HTTPStatus.MULTI_STATUS:
            raise LogsluiceError(
                "the API refuses what is posted",
                where=f"{self._url}{path}",
                why=f"{answer.status_code} {_detail(answer)}",
                hint="LOGSLUICE_API__KEY is the API key to show"
                if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
                else None,
            )
        return answer


def _kind(line: bytes) -> tuple[str, str]:
    """Where a line goes, and as what."""
    if line.startswith(b"{"):
        return "/logs/batch", "application/x-ndjson"
    return ("/logs" if b"\n" in line else "/logs/batch"), "text/plain"


def _detail(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return answer.reason_phrase
    if answer.status_code == HTTPStatus.MULTI_STATUS:
        body = next(item for item in body["items"] if item["status"] >= HTTPStatus.BAD_REQUEST)
    return str(body.get("detail", answer.reason_phrase)) if isinstance(body, dict) else answer.reason_phrase
