"""From a record to the document of the logs index: the raw event, Kafka's metadata, and a JSON event's own
fields.

Kept to what Logstash's json filter can do as well, so that both give the same documents.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from logsluice.event.identity import EventId
from logsluice.event.records import iso_millis

INVALID_UTF8 = "invalid_utf8"
_BLANK = b" \t\r\n\x0b\x0c\x00"
# What Elasticsearch's `strict_date_optional_time` and Python's `fromisoformat` both read, with a time of day.
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d(?::?\d\d)?)?", re.ASCII)

# How an instant stands in a document.
_CANONICAL = re.compile(r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d\.\d{3}Z", re.ASCII)


def unreadable(value: bytes | None) -> str | None:
    """Why there is nothing to index in a value: ``tombstone`` or ``empty``; None where there is something.

    Nothing is what extraction takes for nothing (``logsluice.extract.decode.BLANK``).
    """
    if value is None:
        return "tombstone"
    return None if value.strip(_BLANK) else "empty"


class LogDocument(NamedTuple):
    """The document of an event.

    Attributes:
        valid: Whether the event's bytes were valid UTF-8.
        metric: Whether the event is a measurement: a JSON event whose ``event.kind`` is ``metric``.
    """

    body: bytes
    valid: bool
    metric: bool


def log_document(event_id: EventId, key: bytes | None, value: bytes) -> LogDocument:
    """The document of an event.

    A JSON event's fields come to the root as they are, except where they are in the way of what every
    document has: ``kafka``, an ``event`` that is no object, a ``message`` that is no string.
    ``event.original`` keeps them.
    """
    try:
        text, valid = value.decode(), True
    except UnicodeDecodeError:
        text, valid = value.decode("utf-8", "replace"), False
    fields = _json_object(text.removeprefix("\ufeff"))
    metric = _kind(fields) == "metric"
    try:
        return LogDocument(orjson.dumps(_completed(fields, event_id, key, text, valid)), valid, metric)
    except orjson.JSONEncodeError:
        # Nested deeper than orjson writes, though it can read it: the line alone is kept.
        return LogDocument(orjson.dumps(_completed({}, event_id, key, text, valid)), valid, False)


def _kind(fields: dict[str, Any]) -> object:
    """``event.kind``, nested or with its dot in the name; of two the last holds, as in extraction."""
    kind: object = None
    for name, value in fields.items():
        if name == "event" and isinstance(value, dict):
            value = value.get("kind")
        elif name != "event.kind":
            continue
        if value is not None and not isinstance(value, dict):
            kind = value
    return kind


def _completed(
    document: dict[str, Any], event_id: EventId, key: bytes | None, text: str, valid: bool
) -> dict[str, Any]:
    """Add what every document has."""
    topic, partition, offset, timestamp_ms = event_id
    appended = iso_millis(timestamp_ms)
    document["@timestamp"] = _iso_timestamp(document.get("@timestamp")) or appended
    if not isinstance(document.get("message"), str):
        document["message"] = text
    event = document.get("event")
    document["event"] = {**(event if isinstance(event, dict) else {}), "id": str(event_id), "original": text}
    document["kafka"] = {"topic": topic, "partition": partition, "offset": offset, "timestamp": appended}
    if key is not None:
        document["kafka"]["key"] = key.decode("utf-8", "replace")
    if not valid:
        tags = document.get("tags", [])
        document["tags"] = [*(tags if isinstance(tags, list) else [tags]), INVALID_UTF8]
    return document


def _json_object(text: str) -> dict[str, Any]:
    if not text.lstrip().startswith("{"):
        return {}
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _iso_timestamp(value: object) -> str | None:
    """An ISO timestamp in UTC; None where it is none. One with no zone is taken as UTC."""
    if not isinstance(value, str) or not _ISO.fullmatch(value):
        return None
    try:
        moment = datetime.fromisoformat(value)
        if _CANONICAL.fullmatch(value):
            return value
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    precision = "milliseconds" if moment.microsecond % 1000 == 0 else "microseconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")
