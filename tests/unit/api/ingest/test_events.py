"""From what is posted to what the topic holds."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logsluice.api.ingest.events import (
    RejectedEvent,
    event_schema,
    json_event,
    json_events,
    ndjson_lines,
    plain_event,
)
from logsluice.api.ingest.producer import Record
from logsluice.formats import load_formats
from logsluice.formats.examples import first_match
from logsluice.settings import ApiLimits

LIMITS = ApiLimits()
FORMATS = load_formats()
OTLP = '{"resourceLogs"'
"""What begins like this is posted to the route of OpenTelemetry's protocol."""
DIALECTS = [
    example.line
    for entry in FORMATS
    for example in entry.examples
    if example.line.startswith("{") and not example.line.startswith(OTLP)
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=30
)
NAMES = st.sampled_from(
    [
        "message",
        "level",
        "source",
        "timestamp",
        "metadata",
        "@timestamp",
        "log",
        "log.level",
        "service",
        "labels",
        "tags",
    ]
)


def accepted(event: dict[str, Any]) -> dict[str, Any]:
    found = json_event(json.dumps(event).encode(), LIMITS)
    assert isinstance(found, Record), found
    made: dict[str, Any] = orjson.loads(found.value)
    return made


def fields(line: str) -> dict[str, str]:
    """What is read from a line, but for what has no name in ECS."""
    found = first_match(line, FORMATS, reference_ms=0)
    assert found is not None
    return {name: value for name, value in found[1].items() if not name.startswith("labels.")}


def refused(text: bytes, limits: ApiLimits = LIMITS) -> RejectedEvent:
    found = json_event(text, limits)
    assert isinstance(found, RejectedEvent)
    return found


@pytest.mark.parametrize(
    ("short", "ecs"),
    [
        ({"level": "WARNING", "message": "m"}, {"message": "m", "log": {"level": "warn"}}),
        ({"source": "shop", "message": "m"}, {"message": "m", "service": {"name": "shop"}}),
        ({"source": {"ip": "10.0.0.1"}, "message": "m"}, {"message": "m", "source": {"ip": "10.0.0.1"}}),
        ({"timestamp": "2026-11-22T10:00:00Z", "message": "m"}, {"message": "m", "@timestamp": "2026-11-22T10:00:00Z"}),
        (
            {"message": "m", "metadata": {"user.id": "7", "order": 1}, "labels": {"order": 2}},
            {"message": "m", "user.id": "7", "labels": {"order": 2}},
        ),
        (
            {"message": "m", "level": "info", "log": {"level": "error"}, "source": "a", "service": {"name": "b"}},
            {"message": "m", "log": {"level": "error"}, "service": {"name": "b"}},
        ),
        ({"message": "m", "level": "info", "log": "a line"}, {"message": "m", "log": "a line"}),
        ({"message": "m", "metadata": {}}, {"message": "m"}),
    ],
)
def test_the_short_form_becomes_ecs(short: dict[str, Any], ecs: dict[str, Any]) -> None:
    assert accepted(short) == ecs


@pytest.mark.parametrize("line", DIALECTS)
def test_what_libraries_write_is_read_as_if_it_had_come_by_kafka(line: str) -> None:
    found = json_event(line.encode(), LIMITS)
    assert isinstance(found, Record), found
    assert fields(found.value.decode()) == fields(line)
    if "message" not in json.loads(line):
        assert found.value.decode() == line


@pytest.mark.parametrize(
    ("event", "pointer", "message"),
    [
        ({}, None, "propert"),
        ({"x": 1}, None, "needs a message"),
        ({"message": ""}, "/message", "shorter"),
        ({"message": ["m"]}, "/message", "not of type"),
        ({"message": "m", "level": "two words"}, "/level", "does not match"),
        ({"message": "m", "log": {"level": {}}}, "/log/level", "not of types"),
        ({"message": "m", "timestamp": "yesterday"}, "/timestamp", "does not match"),
        ({"message": "m", "@timestamp": True}, "/@timestamp", "not of types"),
        ({"message": "m", "metadata": "m"}, "/metadata", "not of type"),
        ({"message": "m", "tags": [1]}, "/tags/0", "not of type"),
    ],
)
def test_what_is_wrong_is_named(event: dict[str, Any], pointer: str | None, message: str) -> None:
    found = refused(json.dumps(event).encode())
    assert found.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert found.pointer == pointer
    assert message in found.detail


def test_events_have_bounds() -> None:
    small = ApiLimits(event_bytes=100, fields=10, depth=3)
    assert refused(b'{"message":"%s"}' % (b"x" * 100), small).status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert "10 fields" in refused(json.dumps({"message": "m", "a": list(range(10))}).encode(), small).detail
    assert "3 deep" in refused(b'{"message":"m","a":{"b":[[]]}}', small).detail
    assert isinstance(json_event(b'{"message":"m","a":{"b":[]}}', small), Record)
    grown = {"message": "m", "level": "i", "metadata": {"a": "é" * 40}}
    found = json_event(json.dumps(grown, ensure_ascii=False).encode(), small)
    assert isinstance(found, RejectedEvent)
    few = ApiLimits(batch_events=2)
    found_batch = json_events(b"[1,2,3]", few)
    assert isinstance(found_batch, RejectedEvent)
    assert found_batch.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


@given(st.dictionaries(NAMES | st.text(), VALUES, max_size=8))
def test_whatever_is_accepted_is_ecs_and_valid_again(event: dict[str, Any]) -> None:
    text = json.dumps(event).encode()
    found = json_event(text, LIMITS)
    alone = json_events(b"[" + text + b"]", LIMITS)
    assert isinstance(alone, list)
    assert isinstance(alone[0], Record) == isinstance(found, Record)
    if isinstance(found, RejectedEvent):
        assert found.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
        return
    made = orjson.loads(found.value)
    assert jsonschema_rs.is_valid(event_schema(), made)
    if "message" in made and not isinstance(event.get("level"), int):
        assert not {"level", "timestamp", "metadata"} & made.keys()
        assert not isinstance(made.get("source"), str)
    else:
        assert found.value == text
    assert json_event(found.value, LIMITS) == found


@given(st.binary())
def test_any_bytes_are_an_event_or_refused(text: bytes) -> None:
    for found in (json_event(text, LIMITS), plain_event(text), json_events(text, LIMITS)):
        assert isinstance(found, Record | RejectedEvent | list)


@given(st.lists(st.binary(min_size=1).filter(lambda line: b"\n" not in line)))
def test_lines_are_those_that_are_not_blank(lines: list[bytes]) -> None:
    blank = b" \t\r\n\x0b\x0c\x00"
    wanted = [line.rstrip(b"\r") for line in lines if line.strip(blank)]
    assert list(ndjson_lines(b"\n".join(lines))) == wanted


def test_a_plain_event_keeps_its_bytes() -> None:
    assert plain_event(b"ERROR \xff boom\n\tat x\r\n\n") == Record(b"ERROR \xff boom\n\tat x")
    long = plain_event(b"x" * 2_000_000)
    assert isinstance(long, Record)
    assert len(long.value) == 1_000_000
    assert dict(long.headers)["logsluice-original-length"] == b"2000000"


def test_the_schema_is_a_schema() -> None:
    jsonschema_rs.meta.validate(event_schema())
