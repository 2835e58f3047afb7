from __future__ import annotations

from datetime import UTC, datetime

import pytest

from logsluice.identity import EventId
from logsluice.sinks.dead_letters import DeadLetter, from_record, to_record

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
    [LETTER, LETTER._replace(value=None, reason="tombstone"), LETTER._replace(key=None, headers=[], detail="")],
)
def test_a_stored_letter_is_read_back_as_it_was(letter: DeadLetter) -> None:
    _, value, headers = to_record(letter, NOW)
    assert from_record(value, headers) == letter


def test_a_dead_letter_of_a_dead_letter_carries_the_newer_reason_alone() -> None:
    _, value, headers = to_record(LETTER, NOW)
    again = from_record(value, headers)._replace(reason="regex_timeout", detail="")
    _, _, headers = to_record(again, NOW)
    assert [content for name, content in headers if name == "logsluice-reason"] == [b"regex_timeout"]


def test_a_header_without_a_value_can_be_sent() -> None:
    _, _, headers = to_record(LETTER._replace(headers=[("empty", None)]), NOW)
    assert ("empty", b"") in headers


def test_what_logsluice_did_not_write_is_noticed() -> None:
    with pytest.raises(KeyError):
        from_record(b"x", [("other", b"1")])
