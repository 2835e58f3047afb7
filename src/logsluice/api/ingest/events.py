"""From what a client posts to what the topic holds: checked against the schema, and in Elastic Common Schema.

A JSON event in the short form is written anew with ECS names; any other is kept byte for byte, be it in ECS or in the
dialect of a logging library, which is recognised when the event is read. A plain line is kept as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from http import HTTPStatus
from importlib import resources
from typing import Any, Final, NamedTuple

import jsonschema_rs
import orjson

from logsluice.api.ingest.producer import Record
from logsluice.event.ecs import FIELDS
from logsluice.event.identity import bounded_id
from logsluice.event.limits import cut
from logsluice.formats import normalize_level
from logsluice.settings import ApiLimits

SCHEMA_FILE: Final = "event.schema.json"
_LONGEST_REASON: Final = 300
_SHORT: Final = frozenset({"level", "timestamp", "metadata"})
_BLANK: Final = b" \t\r\n\x0b\x0c\x00"


MOST_WEIGHT: Final = 2_000_000
"""Of JSON that is parsed at once, as :func:`json_weight` has it: a hundred megabytes or two."""


class RejectedEvent(NamedTuple):
    """An event that may not.

    Attributes:
        status: The HTTP status it would have alone.
        detail: Why.
        pointer: Where in the event, as a JSON pointer (RFC 6901); None where it is about all of it.
    """

    status: HTTPStatus
    detail: str
    pointer: str | None = None


Posted = Record | RejectedEvent
"""What a posted event is: a record that may go to Kafka, or refused."""


def event_schema() -> dict[str, Any]:
    """The JSON Schema of an event, as it is registered for the topic."""
    text = resources.files("logsluice.event.schemas").joinpath(SCHEMA_FILE).read_bytes()
    return dict(orjson.loads(text))


@lru_cache(maxsize=1)
def _validator() -> Any:
    return jsonschema_rs.validator_for(event_schema())


def json_event(text: bytes, limits: ApiLimits) -> Posted:
    """An event that stands alone: a whole body, or a line of NDJSON."""
    if len(text) > limits.event_bytes:
        return _too_large(limits)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return RejectedEvent(HTTPStatus.BAD_REQUEST, f"not JSON: {error}")
    return _checked(value, text, limits)


def json_weight(text: bytes) -> int:
    """About how much memory JSON will take, seen without parsing it: a value counts one, a container four more."""
    return text.count(b",") + 4 * (text.count(b"{") + text.count(b"["))


def too_complex() -> RejectedEvent:
    """A body of more values than may be parsed at once."""
    return RejectedEvent(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "there are too many values in one body; send it in parts")


def json_events(text: bytes, limits: ApiLimits) -> list[Posted] | RejectedEvent:
    """The events of a JSON array; one refusal where it is none."""
    if json_weight(text) > MOST_WEIGHT:
        return too_complex()
    try:
        values = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return RejectedEvent(HTTPStatus.BAD_REQUEST, f"not JSON: {error}")
    if not isinstance(values, list):
        return RejectedEvent(HTTPStatus.UNPROCESSABLE_ENTITY, "a batch is a JSON array of events, or NDJSON")
    if len(values) > limits.batch_events:
        return too_many(limits)
    return [_checked(value, None, limits) for value in values]


def ndjson_lines(text: bytes) -> Iterator[bytes]:
    """The lines of NDJSON or of plain text that are not blank; one at a time, as there may be millions."""
    begin = 0
    while begin < len(text):
        end = text.find(b"\n", begin)
        end = len(text) if end < 0 else end
        line = text[begin:end]
        if line.strip(_BLANK):
            yield line.rstrip(b"\r")
        begin = end + 1


def plain_event(text: bytes) -> Posted:
    """A plain line, or several that belong together; cut where it is longer than a record may be."""
    if not text.strip(_BLANK):
        return RejectedEvent(HTTPStatus.UNPROCESSABLE_ENTITY, "there is nothing in it")
    value, headers = cut(text.rstrip(b"\r\n"))
    return Record(value, None, headers)


def too_many(limits: ApiLimits) -> RejectedEvent:
    """A batch of more events than it may have."""
    return RejectedEvent(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a batch may have {limits.batch_events:,} events")


def ecs_event(event: dict[str, Any], limits: ApiLimits) -> Posted:
    """An event that was made here in ECS, from another protocol's."""
    if refused := _measured(event, limits):
        return refused
    value = orjson.dumps(event)
    if len(value) > limits.event_bytes:
        return _too_large(limits)
    return Record(value, _service_key(event))


def _too_large(limits: ApiLimits) -> RejectedEvent:
    return RejectedEvent(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"an event may have {limits.event_bytes:,} bytes")


def _checked(value: Any, text: bytes | None, limits: ApiLimits) -> Posted:
    if value.__class__ is not dict:
        return RejectedEvent(HTTPStatus.UNPROCESSABLE_ENTITY, "an event is a JSON object")
    if refused := _measured(value, limits):
        return refused
    if not _validator().is_valid(value):
        return _rejection(value)
    if _is_short(value):
        value, text = _as_ecs(value), None
    if text is None:
        text = orjson.dumps(value)
        if len(text) > limits.event_bytes:
            return _too_large(limits)
    return Record(text, _service_key(value))


def _measured(event: dict[str, Any], limits: ApiLimits) -> RejectedEvent | None:
    """Count fields and depth, without recursion."""
    fields = 0
    level: list[Any] = [event]
    for _ in range(limits.depth):
        below: list[Any] = []
        for container in level:
            fields += len(container)
            for value in container.values() if container.__class__ is dict else container:
                if value.__class__ is dict or value.__class__ is list:
                    below.append(value)
        if fields > limits.fields:
            return RejectedEvent(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"an event may have {limits.fields} fields and elements"
            )
        if not below:
            return None
        level = below
    return RejectedEvent(HTTPStatus.UNPROCESSABLE_ENTITY, f"objects and arrays may be nested {limits.depth} deep")


def _rejection(event: dict[str, Any]) -> RejectedEvent:
    """The most telling thing that is wrong."""
    errors = sorted(_validator().iter_errors(event), key=lambda error: -len(error.instance_path))
    error = errors[0]
    pointer = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error.instance_path)
    if not pointer and "anyOf" in str(error.schema_path):
        return RejectedEvent(HTTPStatus.UNPROCESSABLE_ENTITY, "an event needs a message or a timestamp")
    return RejectedEvent(HTTPStatus.UNPROCESSABLE_ENTITY, error.message[:_LONGEST_REASON], pointer or None)


def _is_short(event: dict[str, Any]) -> bool:
    """Whether it has names of the short form, and means by them what the short form does.

    Libraries that call the message otherwise, or number their levels, have names of their own for more than these; an
    object ``source`` is ECS's.
    """
    return (
        "message" in event
        and (isinstance(event.get("source"), str) or not _SHORT.isdisjoint(event))
        and not isinstance(event.get("level"), int)
    )


def _as_ecs(event: dict[str, Any]) -> dict[str, Any]:
    """The short form in ECS names; a name that ECS uses itself, and is given, wins."""
    fields = {name: value for name, value in event.items() if name != "source" and name not in _SHORT}
    if "timestamp" in event:
        fields.setdefault("@timestamp", event["timestamp"])
    if "level" in event:
        log = fields.get("log")
        if "log.level" not in fields and (log is None or isinstance(log, dict)) and "level" not in (log or {}):
            level = str(event["level"])
            fields["log"] = {**(log or {}), "level": normalize_level(level) or level}
    source = event.get("source")
    if isinstance(source, dict):
        fields["source"] = source
    elif source is not None and "service.name" not in fields:
        service = fields.get("service")
        if service is None or isinstance(service, dict):
            fields["service"] = {"name": source, **(service or {})}
    labels = event.get("metadata") or {}
    ecs_labels = {name: value for name, value in labels.items() if name in FIELDS and name not in fields}
    fields.update(ecs_labels)
    if others := {name: value for name, value in labels.items() if name not in ecs_labels}:
        own_labels = fields.get("labels")
        fields["labels"] = {**others, **(own_labels if isinstance(own_labels, dict) else {})}
    return fields


def _service_key(event: dict[str, Any]) -> bytes | None:
    name = event.get("service.name")
    if name is None and (service := event.get("service")).__class__ is dict:
        name = service.get("name")
    return bounded_id(name).encode() if isinstance(name, str) and name else None
