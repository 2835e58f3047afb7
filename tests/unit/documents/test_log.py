from __future__ import annotations

from typing import Any

import orjson
import pytest

from logsluice.documents.extraction_input import extraction_input
from logsluice.documents.log import log_document, unreadable
from logsluice.documents.result import result_documents
from logsluice.event.identity import EventId
from logsluice.event.records import Records
from logsluice.extract import ColumnarExtractor, decode, load_registry

EVENT = EventId("logs-topic", 3, 42, 1_763_800_000_123)
APPENDED = "2025-11-22T08:26:40.123Z"


def document(value: bytes, key: bytes | None = None) -> dict[str, Any]:
    parsed: dict[str, Any] = orjson.loads(log_document(EVENT, key, value).body)
    return parsed


def test_a_plain_line_is_its_message_and_original_with_kafkas_metadata() -> None:
    assert document(b"disk full on /var", b"web-1") == {
        "@timestamp": APPENDED,
        "message": "disk full on /var",
        "event": {"id": "logs-topic-3-42-1763800000123", "original": "disk full on /var"},
        "kafka": {"topic": "logs-topic", "partition": 3, "offset": 42, "timestamp": APPENDED, "key": "web-1"},
    }


def test_a_json_events_fields_come_to_the_root_as_they_are() -> None:
    line = b'{"@timestamp":"2026-11-22T10:00:00Z","message":"paid","amount":12.5,"user":{"id":7},"host":"web1"}'
    found = document(line)
    assert found["event"]["original"] == line.decode()
    assert (found["@timestamp"], found["message"]) == ("2026-11-22T10:00:00.000Z", "paid")
    assert (found["amount"], found["user"], found["host"]) == (12.5, {"id": 7}, "web1")


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("2026-11-22T10:00:00.5+01:00", "2026-11-22T09:00:00.500Z"),
        ("2026-11-22T10:00:00+0100", "2026-11-22T09:00:00.000Z"),
        ("2026-11-22T10:00:00.123456Z", "2026-11-22T10:00:00.123456Z"),
        ("2026-11-22T10:00:00", "2026-11-22T10:00:00.000Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
        ("2026-02-30T10:00:00Z", APPENDED),
        ("0001-01-01T00:00:00+10:00", APPENDED),
        ("2026-11-22 10:00:00", APPENDED),
        ("yesterday", APPENDED),
        (1_763_800_000, APPENDED),
        (None, APPENDED),
    ],
)
def test_an_events_own_timestamp_counts_where_it_is_an_iso_one(own: object, expected: str) -> None:
    assert document(orjson.dumps({"@timestamp": own}))["@timestamp"] == expected


def test_what_is_in_the_way_of_our_own_fields_stays_in_the_original_alone() -> None:
    line = b'{"event":"login","kafka":"x","message":{"text":"hi"}}'
    found = document(line)
    assert found["message"] == line.decode()
    assert found["event"] == {"id": str(EVENT), "original": line.decode()}
    assert found["kafka"]["topic"] == "logs-topic"


def test_an_event_object_keeps_its_other_fields() -> None:
    assert document(b'{"event":{"action":"login","id":"theirs"}}')["event"]["action"] == "login"
    assert document(b'{"event":{"action":"login","id":"theirs"}}')["event"]["id"] == str(EVENT)


@pytest.mark.parametrize("line", [b'{"broken": ', b"[1, 2]", b'"text"', b"{not json}", b'{"a": NaN}'])
def test_what_is_no_json_object_is_a_line(line: bytes) -> None:
    assert document(line)["message"] == line.decode()


@pytest.mark.parametrize("depth", [10, 300, 900, 2_000])
def test_json_of_any_depth_gives_a_document(depth: int) -> None:
    line = b'{"message":"deep","x":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
    found = document(line)
    assert found["event"] == {"id": str(EVENT), "original": line.decode()}
    assert found["message"] == ("deep" if depth == 10 else line.decode())


def test_a_byte_order_mark_hides_no_json() -> None:
    assert document(b'\xef\xbb\xbf{"message":"hi"}')["message"] == "hi"


@pytest.mark.parametrize(
    ("line", "tags"),
    [
        (b"caf\xe9", ["invalid_utf8"]),
        (b'{"tags":["a"],"x":"\xe9"}', ["a", "invalid_utf8"]),
        (b'{"tags":"a","x":"\xe9"}', ["a", "invalid_utf8"]),
    ],
)
def test_bytes_that_are_not_utf8_are_replaced_and_tagged(line: bytes, tags: list[str]) -> None:
    valid = log_document(EVENT, None, line).valid
    found = document(line)
    assert not valid
    assert found["tags"] == tags
    assert "\ufffd" in found["event"]["original"]


METRICS = {
    b'{"event":{"kind":"metric"}}': True,
    b'{"event.kind":"metric","system.load":0.5}': True,
    b'{"event":"login","event.kind":"metric"}': True,
    b'{"event":{"kind":null},"event.kind":"metric"}': True,
    b'{"event":{"kind":"event"},"event.kind":"metric"}': True,
    b'{"event.kind":"event","event":{"kind":"metric"}}': True,
    b'{"event":{"kind":"metric"},"event.kind":"event"}': False,
    b'{"event.kind":"metric","event":{"kind":"event"}}': False,
    b'{"event":{"kind":["metric"]}}': False,
    b'{"event":{"kind":{"metric":1}}}': False,
    b'{"event":{"kind":"Metric"}}': False,
    b'{"kind":"metric"}': False,
    b'[{"event":{"kind":"metric"}}]': False,
    b"event.kind=metric": False,
    b'{"event":{"kind":"metric"},"x":' + b'{"a":' * 300 + b"1" + b"}" * 300 + b"}": False,
}


@pytest.mark.parametrize(("line", "expected"), METRICS.items())
def test_a_measurement_is_a_json_event_that_says_so(line: bytes, expected: bool) -> None:
    assert log_document(EVENT, None, line).metric is expected


def test_what_is_a_measurement_here_is_one_to_extraction() -> None:
    lines = list(METRICS)
    records = Records(["logs"] * len(lines), [0] * len(lines), list(range(len(lines))), [1] * len(lines), lines)
    registry = load_registry()
    extracted = ColumnarExtractor(registry).extract(extraction_input(records))
    actions, _ = result_documents(records, extracted, registry.revision, "dev-results-index")
    found = {action.id: orjson.loads(action.document).get("event", {}).get("kind") == "metric" for action in actions}
    for row, (line, expected) in enumerate(METRICS.items()):
        # What is nested deeper than the raw document can be is still read by extraction, a level at a time.
        if b'{"a":' * 300 not in line:
            assert found[str(records.event_id(row))] is expected, line


@pytest.mark.parametrize(
    ("value", "reason"),
    [(None, "tombstone"), (b"", "empty"), (b" \r\n", "empty"), (b"\x00" * 9, "empty"), (b"x", None), (b"{}", None)],
)
def test_nothing_is_what_extraction_takes_for_nothing(value: bytes | None, reason: str | None) -> None:
    assert unreadable(value) == reason


def test_blank_is_what_extraction_takes_for_blank() -> None:
    assert unreadable(decode.BLANK.encode()) == "empty"
    assert all(unreadable(bytes([byte])) is None for byte in range(256) if chr(byte) not in decode.BLANK)
