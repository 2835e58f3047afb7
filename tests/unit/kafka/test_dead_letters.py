from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest

from logsluice.event.identity import EventId
from logsluice.kafka.dead_letters import DeadLetter, from_record, to_record

NOW = datetime(2026, 11, 22, 10, 30, 5, 123_456, tzinfo=UTC)
LETTER = DeadLetter(
    "index",
    EventId("logs-topic", 0, 7, 1_763_800_000_000),
    "rejected",
    "mapper_parsing_exception: größer",
    b"\xff\x00line",
    b"web-1",
    [("log.file.path", b"/var/log/a"), ("logsluice-original-length", b"5000000"), ("trace", b"")],
)


def test_a_letter_is_keyed_by_consumer_and_event_and_says_why_and_when() -> None:
    key, value, headers = to_record(LETTER, NOW)
    assert key == b"index/logs-topic-0-7-1763800000000"
    assert value == LETTER.value
    assert dict(headers) == {
        "logsluice-consumer": b"index",
        "logsluice-event-id": b"logs-topic-0-7-1763800000000",
        "logsluice-reason": b"rejected",
        "logsluice-detail": "mapper_parsing_exception: größer".encode(),
        "logsluice-time": b"2026-11-22T10:30:05.123Z",
        "logsluice-key": b"web-1",
        "log.file.path": b"/var/log/a",
        "logsluice-original-length": b"5000000",
        "trace": b"",
    }


@pytest.mark.parametrize(
    "letter",
    [
        LETTER,
        LETTER._replace(value=None, reason="tombstone"),
        LETTER._replace(key=None, headers=[], detail=""),
        LETTER._replace(headers=[(name, b"x") for name in ("", "a[b]", "%", "%5B", "%255D", "[", "100%")]),
    ],
)
def test_a_stored_letter_is_read_back_as_it_was(letter: DeadLetter) -> None:
    _, value, headers = to_record(letter, NOW)
    assert from_record(value, headers) == letter


def test_no_name_of_a_header_can_be_taken_for_a_path() -> None:
    names = ("", "a[b]", "[", "]]")
    _, _, headers = to_record(LETTER._replace(headers=[(name, b"x") for name in names]), NOW)
    assert all(name and not set("[]") & set(name) for name, _ in headers)


def test_a_dead_letter_of_a_dead_letter_carries_the_newer_reason_alone() -> None:
    _, value, headers = to_record(LETTER, NOW)
    first = from_record(value, headers)
    assert first is not None
    again = first._replace(reason="regex_timeout", detail="")
    _, _, headers = to_record(again, NOW)
    assert [content for name, content in headers if name == "logsluice-reason"] == [b"regex_timeout"]


def test_a_header_without_a_value_can_be_sent() -> None:
    _, _, headers = to_record(LETTER._replace(headers=[("empty", None)]), NOW)
    assert ("empty", b"") in headers


def test_what_logsluice_did_not_write_is_noticed() -> None:
    assert from_record(b"x", [("other", b"1")]) is None


def test_an_event_that_is_too_large_for_a_letter_is_cut_with_its_length_and_hash_kept() -> None:
    value = b"x" * 5_000_000
    _, kept, headers = to_record(LETTER._replace(value=value), NOW)
    assert kept == value[:1_000_000]
    assert dict(headers)["logsluice-original-length"] == b"5000000"
    assert dict(headers)["logsluice-original-sha256"] == hashlib.sha256(value).hexdigest().encode()


@pytest.mark.parametrize("beside", [{"key": b"k" * 600_000}, {"headers": [("name", b"h" * 600_000)]}])
def test_a_key_or_headers_that_are_too_large_are_left_out_and_that_is_said(beside: dict[str, Any]) -> None:
    key, kept, headers = to_record(LETTER._replace(**beside), NOW)
    assert (key, kept) == (b"index/logs-topic-0-7-1763800000000", LETTER.value)
    assert {"logsluice-key", "name"}.isdisjoint(dict(headers))
    assert b"key and headers left out" in dict(headers)["logsluice-detail"]
