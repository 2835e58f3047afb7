"""Sends demo traffic to Kafka or to the HTTP API, paced by the wall clock."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from threading import Event
from typing import Final, Protocol

import httpx
import structlog

from logsluice.demo.traffic import TrafficEvent
from logsluice.errors import LogsluiceError
from logsluice.event.limits import cut
from logsluice.kafka.ordered_producer import OrderedProducer
from logsluice.kafka.topics import wait_for_topic
from logsluice.runtime import metrics
from logsluice.runtime.retry import RetryContext, StoppedError, retry_on_unavailable
from logsluice.settings import ApiSettings, Settings

JOB: Final = "producer"
_GLANCE_SECONDS: Final = 0.1
_LOG_INTERVAL_SECONDS: Final = 30.0
_LATE_SECONDS: Final = 5.0
_TICK_SECONDS: Final = 0.01
_GIVE_UP_SECONDS: Final = 10.0
_POST_EVENTS: Final = 500
_POST_BYTES: Final = 1_000_000
_POST_SECONDS: Final = 0.2
_API_SECONDS: Final = 30.0
_AGAIN: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS)

log = structlog.get_logger(__name__)


class Destination(Protocol):
    """Where events go. What :meth:`send` takes may still be on its way until :meth:`flush` comes back."""

    def send(self, event: TrafficEvent) -> None:
        """Take an event; waits while the destination can't take more."""

    def flush(self) -> int:
        """Wait for everything sent; gives how many events were not acknowledged in time."""

    def close(self) -> None:
        """Let go of connections."""


class KafkaDestination:
    """The topic of the settings; events of one session, or of one service, stay in order.

    Raises:
        LogsluiceError: Kafka refuses the credentials.
        StoppedError: ``stop`` was set before Kafka answered.
    """

    def __init__(self, settings: Settings, stop: Event) -> None:
        topic = wait_for_topic(settings, settings.kafka.topic, job=JOB, stop=stop)
        self._outlet: OrderedProducer[None] = OrderedProducer(settings, topic.name, job=JOB, stop=stop)
        self._stop = stop
        self._sent = metrics.EVENTS_OUT.labels(JOB, "kafka")
        self._glance_at = 0.0

    def send(self, event: TrafficEvent) -> None:
        """Take an event; waits for the broker, unless ``stop`` is set.

        Raises:
            LogsluiceError: The broker refuses a record.
        """
        while self._outlet.full and not self._stop.is_set():
            self._outlet.wait(_GLANCE_SECONDS)
            self._collect()
        value, headers = cut(event.line.encode())
        self._outlet.send(None, value, event.key.encode(), list(headers))
        now = time.monotonic()
        if now > self._glance_at:
            self._glance_at = now + _GLANCE_SECONDS
            self._outlet.wait(0)
            self._collect()

    def flush(self) -> int:
        """Wait for acknowledgements; when ``stop`` is set, ten seconds at most."""
        started_at = time.monotonic()
        while self._outlet.in_flight:
            if self._stop.is_set() and time.monotonic() - started_at > _GIVE_UP_SECONDS:
                break
            self._outlet.wait(_GLANCE_SECONDS)
            self._collect()
        return self._outlet.in_flight

    def close(self) -> None:
        """Let go of the broker."""
        self._outlet.close()

    def _collect(self) -> None:
        self._sent.inc(sum(1 for _ in self._outlet.collect()))


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
        self._client = httpx.Client(base_url=settings.base_url, headers=headers, timeout=_API_SECONDS)
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
            self._post_at = time.monotonic() + _POST_SECONDS
        self._path_and_type = kind
        self._lines.append(line)
        self._bytes += len(line) + 1
        alone = not kind[0].endswith("batch")
        if alone or len(self._lines) >= _POST_EVENTS or self._bytes >= _POST_BYTES or time.monotonic() > self._post_at:
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


def produce(events: Iterable[TrafficEvent], destination: Destination, stop: Event, *, paced: bool = True) -> int:
    """Send events when they are due, counted from now, or at once; gives how many were sent.

    What is late, because the machine or the destination was slow, is sent at once until it has caught up. When ``stop``
    is set, what was sent is waited for.
    """
    started_at = time.monotonic()
    logged_at = started_at
    warn_at = 0.0
    count = 0
    read = metrics.EVENTS_IN.labels(JOB)
    for event in events:
        if stop.is_set():
            break
        if paced:
            now = time.monotonic()
            early = started_at + event.time_offset - now
            if early > 0:
                # What comes within the next hundredth of a second may come at once.
                if early > _TICK_SECONDS and stop.wait(early):
                    break
            elif -early > _LATE_SECONDS and now > warn_at:
                warn_at = now + _LOG_INTERVAL_SECONDS
                log.warning("behind the rate that was asked for", seconds=round(-early, 1))
        destination.send(event)
        read.inc()
        count += 1
        if count % 100 == 0 and time.monotonic() - logged_at > _LOG_INTERVAL_SECONDS:
            logged_at = time.monotonic()
            log.info("events sent", events=count, per_second=round(count / (logged_at - started_at), 1))
    lost = destination.flush()
    if lost:
        log.warning("stopped before these were acknowledged", events=lost)
    return count
