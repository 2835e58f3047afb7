"""Dead letters: the original bytes of what could not be read or written, with the reason, in a Kafka topic.

A letter's key is ``<consumer>/<event id>``. The same letter may be in the topic more than once, as whoever
was killed in the middle of a batch writes it again; the key tells.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from threading import Event
from typing import NamedTuple

import structlog
from kafka import KafkaProducer
from kafka import errors as kafka_errors
from kafka.producer.future import FutureRecordMetadata

from logsluice.errors import LogsluiceError
from logsluice.event.identity import EventId
from logsluice.event.limits import cut
from logsluice.event.moments import iso
from logsluice.kafka.clients import producer
from logsluice.kafka.topics import wait_for_topic
from logsluice.runtime import metrics
from logsluice.runtime.retry import RetryContext, StoppedError, retry_on_unavailable
from logsluice.settings import Settings

Headers = Sequence[tuple[str, bytes | None]]
Record = tuple[bytes, bytes | None, list[tuple[str, bytes]]]

REPLAYED = "logsluice-replayed"
"""Header of the record that marks a letter as done with; its value is the time."""

_PREFIX = "logsluice-"
_TRUNCATION_HEADERS = ("logsluice-original-length", "logsluice-original-sha256")
_REFUSALS = (
    kafka_errors.AuthorizationError,
    kafka_errors.InvalidTopicError,
    kafka_errors.MessageSizeTooLargeError,
    kafka_errors.RecordListTooLargeError,
)
_LOG_EVERY_SECONDS = 15.0
_MAX_VALUE = 1_048_588
_MAX_OVERHEAD = 500_000

log = structlog.get_logger(__name__)


class DeadLetter(NamedTuple):
    """An event that a consumer could not read or write.

    Attributes:
        consumer: Who could not: ``regex`` or ``index``.
        reason: Why, in one of few words, as metrics count it: ``tombstone``, ``empty``, ``rejected``, ...
        detail: Why, in the words of whoever refused it; may be empty.
        value: The event's original bytes; None for a tombstone.
    """

    consumer: str
    event_id: EventId
    reason: str
    detail: str
    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()


def to_record(letter: DeadLetter, now: datetime) -> Record:
    """The key, value and headers under which a letter is stored.

    Kafka counts the bytes of a compressed batch, so that an event can be far larger than its topic allows. Such a
    one is cut, as at the way in, rather than having no letter at all.
    """
    letter = _truncated(letter)
    headers = [
        ("logsluice-consumer", letter.consumer.encode()),
        ("logsluice-event-id", str(letter.event_id).encode()),
        ("logsluice-reason", letter.reason.encode()),
        ("logsluice-detail", letter.detail.encode("utf-8", "replace")),
        ("logsluice-time", iso(now).encode()),
    ]
    if letter.key is not None:
        headers.append(("logsluice-key", letter.key))
    headers += [(_escaped(name), content or b"") for name, content in letter.headers if _is_original(name)]
    return _key(letter), letter.value, headers


def _truncated(letter: DeadLetter) -> DeadLetter:
    value, headers = letter.value, list(letter.headers)
    if value is not None and len(value) > _MAX_VALUE:
        value, measures = cut(value)
        headers = [*(header for header in headers if header[0] not in _TRUNCATION_HEADERS), *measures]
    overhead = len(letter.key or b"") + sum(len(name) + len(content or b"") for name, content in headers)
    if overhead > _MAX_OVERHEAD:
        detail = f"{letter.detail} (key and headers left out: {overhead} bytes)".strip()
        headers = [header for header in headers if header[0] in _TRUNCATION_HEADERS]
        return letter._replace(value=value, key=None, headers=headers, detail=detail)
    return letter._replace(value=value, headers=headers)


def _key(letter: DeadLetter) -> bytes:
    return f"{letter.consumer}/{letter.event_id}".encode()


def from_record(value: bytes | None, headers: Headers) -> DeadLetter | None:
    """Read a stored letter back; None where logsluice did not write the record."""
    own_headers = {name: content for name, content in headers if content is not None and not _is_original(name)}
    try:
        return DeadLetter(
            consumer=own_headers["logsluice-consumer"].decode(),
            event_id=EventId.parse(own_headers["logsluice-event-id"].decode()),
            reason=own_headers["logsluice-reason"].decode(),
            detail=own_headers["logsluice-detail"].decode(),
            value=value,
            key=own_headers.get("logsluice-key"),
            headers=[(_unescaped(name), content) for name, content in headers if _is_original(name)],
        )
    except (KeyError, UnicodeDecodeError, LogsluiceError):
        return None


def is_replay_mark(headers: Headers) -> bool:
    """Whether a record of the topic is no letter, but says that the one of its key was replayed."""
    return any(name == REPLAYED for name, _ in headers)


def _escaped(header: str) -> str:
    """A header's name as every reader can take it: Logstash makes a path of it, and would stop at one with brackets
    or with nothing in it for good.
    """
    return header.replace("%", "%25").replace("[", "%5B").replace("]", "%5D") or "%"


def _unescaped(header: str) -> str:
    return header.replace("%5B", "[").replace("%5D", "]").replace("%25", "%") if header != "%" else ""


def _is_original(header: str) -> bool:
    """Whether a header was the event's own; what is known since the way in belongs to the event."""
    return not header.startswith(_PREFIX) or header in _TRUNCATION_HEADERS


class DeadLetterWriter:
    """Writes dead letters; connects when the first one comes."""

    def __init__(self, settings: Settings, *, job: str, stop: Event | None = None) -> None:
        self._settings = settings
        self._job = job
        self._stop = stop or Event()
        self._producer: KafkaProducer | None = None

    def write(self, letters: Iterable[DeadLetter]) -> None:
        """Write the letters and come back when the broker has acknowledged all of them.

        While the broker is away, or the topic is not there, this waits and says so.

        Raises:
            LogsluiceError: The broker refuses the credentials.
            StoppedError: The process is to stop while the broker is away.
        """
        batch = list(letters)
        now = datetime.now(UTC)
        self._write([to_record(letter, now) for letter in batch])
        for letter in batch:
            metrics.DEAD_LETTERS.labels(self._job, letter.reason).inc()

    def mark_replayed(self, letters: Iterable[DeadLetter]) -> None:
        """Mark letters as done with; raises like :meth:`write`."""
        mark = [(REPLAYED, iso(datetime.now(UTC)).encode())]
        self._write([(_key(letter), None, mark) for letter in letters])

    def close(self) -> None:
        """Close the connection."""
        if self._producer is not None:
            self._producer.close(timeout=5)

    def _write(self, records: Sequence[Record]) -> None:
        if not records:
            return
        where = f"{self._settings.kafka.bootstrap_servers}, topic {self._settings.kafka.dead_letter_topic}"
        try:
            retry_on_unavailable(
                lambda: self._send(records),
                _may_be_sent_again,
                RetryContext("kafka", where, self._job, stop=self._stop),
            )
        except kafka_errors.KafkaError as error:
            raise LogsluiceError("the broker refuses dead letters", where=where, why=str(error)) from None

    def _send(self, records: Sequence[Record]) -> None:
        topic = self._settings.kafka.dead_letter_topic
        if self._producer is None:
            wait_for_topic(self._settings, topic, job=self._job, stop=self._stop)
            self._producer = producer(self._settings, job=self._job, stop=self._stop, linger_ms=5)
        try:
            futures = [
                self._producer.send(topic, value=value, key=key, headers=headers) for key, value, headers in records
            ]
            for future in futures:
                self._wait_for(future)
        except kafka_errors.KafkaError:
            # An idempotent producer may be beyond repair after an error; a new one never is.
            self._producer.close(timeout=0)
            self._producer = None
            raise

    def _wait_for(self, future: FutureRecordMetadata) -> None:
        """Wait for the broker's word; the client itself repeats what failed because the broker is away."""
        started_at = logged_at = time.monotonic()
        while not future.is_done:
            if self._stop.is_set():
                raise StoppedError
            with suppress(kafka_errors.KafkaTimeoutError):
                future.get(timeout=1)
            if not future.is_done and time.monotonic() - logged_at > _LOG_EVERY_SECONDS:
                logged_at = time.monotonic()
                metrics.RETRIES.labels(self._job, "kafka").inc()
                log.warning(
                    "waiting for kafka",
                    where=self._settings.kafka.bootstrap_servers,
                    waited_seconds=round(logged_at - started_at),
                )
        future.get(timeout=0)


def _may_be_sent_again(error: BaseException) -> bool:
    return isinstance(error, kafka_errors.KafkaError) and not isinstance(error, _REFUSALS)
