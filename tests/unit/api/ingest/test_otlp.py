"""OpenTelemetry's log records as events."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from google.protobuf.json_format import MessageToJson
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from logsluice.api.ingest import otlp
from logsluice.api.ingest.events import RejectedEvent
from logsluice.api.ingest.producer import Record
from logsluice.settings import ApiLimits


def events(body: dict[str, Any], limits: ApiLimits | None = None) -> list[dict[str, Any] | RejectedEvent]:
    found = otlp.export_events(orjson.dumps(body), otlp.JSON, limits or ApiLimits())
    return [orjson.loads(event.value) if isinstance(event, Record) else event for event in found]


def record(**fields: Any) -> dict[str, Any]:
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": [fields]}]}]}


@pytest.mark.parametrize(
    ("fields", "level"),
    [
        ({"severityNumber": 1}, "trace"),
        ({"severityNumber": 8}, "debug"),
        ({"severityNumber": 9}, "info"),
        ({"severityNumber": 16}, "warn"),
        ({"severityNumber": 17, "severityText": "whatever"}, "error"),
        ({"severityNumber": 24}, "critical"),
        ({"severityText": "Warning"}, "warn"),
        ({"severityText": "???"}, None),
        ({}, None),
    ],
)
def test_severities_are_levels(fields: dict[str, Any], level: str | None) -> None:
    (event,) = events(record(body={"stringValue": "m"}, **fields))
    assert isinstance(event, dict)
    assert event.get("log.level") == level


def test_what_the_body_is_becomes_the_message() -> None:
    bodies: dict[str, Any] = {
        "text": {"stringValue": "text"},
        "5": {"intValue": "5"},
        '{"a":[1.5,true]}': {
            "kvlistValue": {
                "values": [
                    {"key": "a", "value": {"arrayValue": {"values": [{"doubleValue": 1.5}, {"boolValue": True}]}}}
                ]
            }
        },
    }
    for message, body in bodies.items():
        (event,) = events(record(body=body))
        assert isinstance(event, dict)
        assert event["message"] == message
    (event,) = events(record(eventName="browser.click"))
    assert isinstance(event, dict)
    assert event["message"] == event["event.action"] == "browser.click"


def test_names_are_those_of_ecs() -> None:
    attributes = {
        "exception.message": "gone",
        "thread.name": "main",
        "log": "in the way",
        "message": "no message",
        "shop.order": "7",
    }
    given_attributes = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
    (event,) = events(record(body={"stringValue": "m"}, attributes=given_attributes, observedTimeUnixNano="1000000001"))
    assert event == {
        "error.message": "gone",
        "process.thread.name": "main",
        "labels.log": "in the way",
        "message": "m",
        "shop.order": "7",
        "@timestamp": "1970-01-01T00:00:01.000000001Z",
    }


def test_records_have_bounds() -> None:
    deep: dict[str, Any] = {"stringValue": "x"}
    for _ in range(30):
        deep = {"arrayValue": {"values": [deep]}}
    (event,) = events(record(attributes=[{"key": "a", "value": deep}]))
    assert isinstance(event, RejectedEvent)
    many = [{"key": str(number), "value": {"intValue": "1"}} for number in range(20)]
    (event,) = events(record(attributes=many), ApiLimits(fields=10))
    assert isinstance(event, RejectedEvent)
    deepest: dict[str, Any] = {"stringValue": "x"}
    for _ in range(60):
        deepest = {"arrayValue": {"values": [deepest]}}
    with pytest.raises(otlp.MalformedPayloadError):
        events(record(body=deepest))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"5",
        b'{"resourceLogs":5}',
        b'{"resourceLogs":[{"scopeLogs":[5]}]}',
        b'{"resourceLogs":[null]}',
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"xyz"}]}]}]}',
    ],
)
def test_what_is_no_export_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(otlp.MalformedPayloadError):
        list(otlp.export_events(body, otlp.JSON, ApiLimits()))


@given(st.binary(max_size=300))
def test_any_bytes_are_an_export_or_not(body: bytes) -> None:
    for media_type in (otlp.PROTOBUF, otlp.JSON):
        try:
            for event in otlp.export_events(body, media_type, ApiLimits()):
                assert isinstance(event, Record | RejectedEvent)
        except otlp.MalformedPayloadError:
            continue


@given(
    st.integers(0, 2**64 - 1),
    st.integers(-(2**31), 2**31 - 1),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(max_size=20),
)
def test_any_record_is_an_event(moment: int, severity: int, text: str, trace: bytes) -> None:
    request = ExportLogsServiceRequest()
    log = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=moment, trace_id=trace)
    log.severity_number = severity  # type: ignore[assignment]
    log.body.string_value = text
    (event,) = otlp.export_events(request.SerializeToString(), otlp.PROTOBUF, ApiLimits())
    assert isinstance(event, Record)
    assert orjson.loads(event.value)["message"]


def wrapped(*records: bytes) -> bytes:
    """Records, as bytes of protobuf, in an export."""
    scope = b"".join(b"\x12" + _size(record) + record for record in records)
    resource = b"\x12" + _size(scope) + scope
    return b"\x0a" + _size(resource) + resource


def _size(content: bytes) -> bytes:
    size, written = len(content), bytearray()
    while size >= 0x80:
        written.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*written, size])


@given(
    st.lists(st.tuples(st.text(max_size=5), st.lists(st.text(max_size=5), max_size=3)), max_size=3), st.text(max_size=5)
)
def test_protobuf_in_parts_is_read_as_json_is(groups: list[tuple[str, list[str]]], service: str) -> None:
    request = ExportLogsServiceRequest()
    for scope, texts in groups:
        about = request.resource_logs.add()
        about.resource.attributes.add(key="service.name").value.string_value = service
        logs = about.scope_logs.add()
        logs.scope.name = scope
        for text in texts:
            logs.log_records.add(time_unix_nano=7).body.string_value = text
    json = MessageToJson(request).encode()
    limits = ApiLimits()
    parts = list(otlp.export_events(request.SerializeToString(), otlp.PROTOBUF, limits))
    assert parts == list(otlp.export_events(json, otlp.JSON, limits))
    assert len(parts) == sum(len(texts) for _, texts in groups)


def test_a_record_of_many_bytes_is_refused_alone() -> None:
    limits = ApiLimits(event_bytes=1_000)
    first, second, third = otlp.export_events(wrapped(b"", b"\x32\x00" * 1_000, b""), otlp.PROTOBUF, limits)
    assert isinstance(first, Record)
    assert isinstance(second, RejectedEvent)
    assert second.status == 413
    assert isinstance(third, Record)
