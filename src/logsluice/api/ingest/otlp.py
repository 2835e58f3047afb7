"""OpenTelemetry's log records (OTLP over HTTP) as events in Elastic Common Schema.

Sources: https://opentelemetry.io/docs/specs/otlp/#otlphttp, for severities
https://opentelemetry.io/docs/specs/otel/logs/data-model/#severity-fields, and for messages that are read in parts
https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final, TypeVar

import orjson
from google.protobuf.json_format import MessageToJson, ParseDict, ParseError
from google.protobuf.message import DecodeError, Message
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from logsluice.api.ingest.events import MOST_WEIGHT, Posted, RejectedEvent, ecs_event, json_weight
from logsluice.event.ecs import FIELDS, LEVELS
from logsluice.event.moments import EPOCH
from logsluice.formats import normalize_level
from logsluice.settings import ApiLimits

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"

_LONGEST_NANOS: Final = 253_402_300_800_000_000_000
# From the lowest number of each range; 12 numbers from 1 are the four of trace, of debug and of info.
_SEVERITIES: Final = ((21, "critical"), (17, "error"), (13, "warn"), (9, "info"), (5, "debug"), (1, "trace"))
_NAMES: Final = {
    "exception.type": "error.type",
    "exception.message": "error.message",
    "exception.stacktrace": "error.stack_trace",
    "deployment.environment.name": "service.environment",
    "deployment.environment": "service.environment",
    "k8s.namespace.name": "orchestrator.namespace",
    "thread.id": "process.thread.id",
    "thread.name": "process.thread.name",
    "code.file.path": "log.origin.file.name",
    "code.filepath": "log.origin.file.name",
    "code.line.number": "log.origin.file.line",
    "code.lineno": "log.origin.file.line",
    "code.function.name": "log.origin.function",
    "code.function": "log.origin.function",
    "client.address": "source.address",
    "enduser.id": "user.id",
}
"""Names of OpenTelemetry's semantic conventions that ECS says otherwise; most are the same."""

_OBJECTS: Final = frozenset(name.rpartition(".")[0] for name in FIELDS) | {"labels", "tags", "@timestamp"}


# Numbers of fields in opentelemetry/proto/collector/logs/v1/logs_service.proto and logs/v1/logs.proto.
_RESOURCE_LOGS: Final = 1
_RESOURCE: Final = 1
_SCOPE_LOGS: Final = 2
_SCOPE: Final = 1
_LOG_RECORDS: Final = 2
# Of protobuf's wire format: the types of fields, with the bytes of those of a fixed length.
_VARINT: Final = 0
_FIXED: Final = {1: 8, 5: 4}
_LENGTH: Final = 2
_LONGEST_VARINT: Final = 10

T = TypeVar("T", bound=Message)


class PayloadTooLargeError(Exception):
    """A body has more values than may be parsed at once."""


class MalformedPayloadError(Exception):
    """A body is no export of logs."""


def export_events(body: bytes, media_type: str, limits: ApiLimits) -> Iterator[Posted]:
    """The events of an export, in order.

    Of protobuf one record is parsed at a time: an empty one has two bytes in a body and a hundred in memory.

    Raises:
        MalformedPayloadError: It is no export of logs: why. What came before may have been given already.
        PayloadTooLargeError: Its JSON has more values than may be parsed at once.
    """
    try:
        yield from _protobuf_events(body, limits) if media_type == PROTOBUF else _json_events(body, limits)
    except (DecodeError, ParseError, orjson.JSONDecodeError, ValueError, TypeError, AttributeError) as error:
        raise MalformedPayloadError(" ".join(str(error).split())[:300]) from None
    except RecursionError:
        raise MalformedPayloadError("nested too deep") from None


def _json_events(body: bytes, limits: ApiLimits) -> Iterator[Posted]:
    if json_weight(body) > MOST_WEIGHT:
        raise PayloadTooLargeError
    export = ParseDict(_with_binary_ids(orjson.loads(body)), ExportLogsServiceRequest(), ignore_unknown_fields=True)
    for resource_logs in export.resource_logs:
        for scope_logs in resource_logs.scope_logs:
            about = _About(resource_logs.resource, scope_logs.scope)
            for record in scope_logs.log_records:
                yield about.event(record, limits)


def _protobuf_events(body: bytes, limits: ApiLimits) -> Iterator[Posted]:
    for content in _messages(body, _RESOURCE_LOGS):
        resource = _merged(Resource(), _messages(content, _RESOURCE), limits)
        for inner in _messages(content, _SCOPE_LOGS):
            about = _About(resource, _merged(InstrumentationScope(), _messages(inner, _SCOPE), limits))
            for record in _messages(inner, _LOG_RECORDS):
                if len(record) > limits.event_bytes:
                    yield RejectedEvent(
                        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"an event may have {limits.event_bytes:,} bytes"
                    )
                else:
                    yield about.event(LogRecord.FromString(record), limits)


def _merged(message: T, parts: Iterable[bytes], limits: ApiLimits) -> T:
    for part in parts:
        if len(part) > limits.event_bytes:
            raise DecodeError(f"a resource or a scope may have {limits.event_bytes:,} bytes")
        message.MergeFromString(part)
    return message


class _About:
    """What all records of a scope have in common."""

    def __init__(self, resource: Resource, scope: InstrumentationScope) -> None:
        self._fields = dict(_fields(resource.attributes))
        self._logger = {"log.logger": scope.name} if scope.name else {}

    def event(self, record: LogRecord, limits: ApiLimits) -> Posted:
        if len(record.attributes) + len(self._fields) > limits.fields:
            return RejectedEvent(HTTPStatus.UNPROCESSABLE_ENTITY, f"an event may have {limits.fields} fields")
        return ecs_event({**self._fields, **self._logger, **_of_record(record)}, limits)


def export_answer(refused: int, reason: str, media_type: str) -> bytes:
    """The answer to an export of which all but ``refused`` records are stored."""
    answer = ExportLogsServiceResponse()
    if refused:
        answer.partial_success.rejected_log_records = refused
        answer.partial_success.error_message = reason
    return _written(answer, media_type)


def failure(code: int, message: str, media_type: str) -> bytes:
    """What OTLP asks for in place of problem details: a ``google.rpc.Status``."""
    return _written(Status(code=code, message=message), media_type)


def _written(message: Message, media_type: str) -> bytes:
    return message.SerializeToString() if media_type == PROTOBUF else MessageToJson(message, indent=None).encode()


def _of_record(record: LogRecord) -> dict[str, Any]:
    event = dict(_fields(record.attributes))
    moment = record.time_unix_nano or record.observed_time_unix_nano
    if 0 < moment < _LONGEST_NANOS:
        event["@timestamp"] = _iso(moment)
    if level := _level(record):
        event["log.level"] = level
    if record.HasField("body"):
        body = _value(record.body)
        event["message"] = body if isinstance(body, str) else orjson.dumps(body).decode()
    if record.trace_id:
        event["trace.id"] = record.trace_id.hex()
    if record.span_id:
        event["span.id"] = record.span_id.hex()
    if record.event_name:
        event["event.action"] = record.event_name
    if not event.get("message"):
        event["message"] = event.get("event.action") or event.get("error.message") or "(no body)"
    return event


def _level(record: LogRecord) -> str | None:
    for lowest, level in _SEVERITIES:
        if record.severity_number >= lowest:
            return level
    text = record.severity_text
    return normalize_level(text) or (text if text in LEVELS else None)


def _fields(attributes: Iterable[KeyValue]) -> Iterator[tuple[str, Any]]:
    """Attributes by ECS name, where there is one; others keep theirs, and become labels when facts are extracted."""
    for attribute in attributes:
        if not attribute.key:
            continue
        name = _NAMES.get(attribute.key, attribute.key)
        # Where an object stands among the fields, nothing else can.
        yield f"labels.{name}" if name in _OBJECTS else name, _value(attribute.value)


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(entry) for entry in value.array_value.values]
    if kind == "kvlist_value":
        return {entry.key: _value(entry.value) for entry in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind) if kind else None


def _iso(nanos: int) -> str:
    micros, rest = divmod(nanos, 1_000)
    moment = EPOCH + timedelta(microseconds=micros)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06}{rest:03}Z"


def _with_binary_ids(export: Any) -> Any:
    """OTLP writes ids in hexadecimal where protobuf's JSON has base64."""
    for resource_logs in export.get("resourceLogs", ()):
        for scope_logs in resource_logs.get("scopeLogs", ()):
            for record in scope_logs.get("logRecords", ()):
                for name in ("traceId", "spanId"):
                    if identifier := record.get(name):
                        record[name] = base64.b64encode(bytes.fromhex(identifier)).decode()
    return export


def _messages(content: bytes, number: int) -> Iterator[bytes]:
    """The messages (or texts) in the field of a message with this number, in their order; other fields are passed over.

    Raises:
        DecodeError: It is no message.
    """
    position, end = 0, len(content)
    while position < end:
        tag, position = _varint(content, position)
        kind = tag & 7
        if kind == _LENGTH:
            size, position = _varint(content, position)
            if size > end - position:
                raise DecodeError("a field is cut off")
            if tag >> 3 == number:
                yield content[position : position + size]
            position += size
        elif kind == _VARINT:
            _, position = _varint(content, position)
        elif kind in _FIXED:
            position += _FIXED[kind]
            if position > end:
                raise DecodeError("a field is cut off")
        else:
            raise DecodeError(f"there is no wire type {kind}")


def _varint(content: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 7 * _LONGEST_VARINT, 7):
        if position >= len(content):
            raise DecodeError("a number is cut off")
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise DecodeError("a number is too long")
