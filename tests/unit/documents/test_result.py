from __future__ import annotations

import orjson
import pytest

from logsluice.documents.extraction_input import extraction_input
from logsluice.documents.result import result_documents
from logsluice.event.records import Records, iso_millis
from logsluice.extract import ColumnarExtractor, load_registry

DAY = 86_400_000
NOON = 1_763_800_000_123


def records(*values: bytes | None, timestamps: list[int] | None = None) -> Records:
    size = len(values)
    return Records(
        ["logs-topic"] * size,
        [1] * size,
        list(range(10, 10 + size)),
        timestamps or [NOON] * size,
        values,
        [b"key"] * size,
        [[("source", b"web")]] * size,
    )


def test_documents_carry_their_origin_and_go_to_the_day_of_kafkas_timestamp() -> None:
    batch = records(b"payment failed user_id=7", b"ok", timestamps=[NOON, NOON + DAY])
    extracted = ColumnarExtractor(load_registry()).extract(extraction_input(batch))
    actions, letters = result_documents(batch, extracted, 12, "dev-results-index")
    assert letters == []
    assert [action.index for action in actions] == ["dev-results-index-2025.11.22", "dev-results-index-2025.11.23"]
    assert [(action.id, action.op, action.version) for action in actions] == [
        (f"logs-topic-1-10-{NOON}", "index", 12),
        (f"logs-topic-1-11-{NOON + DAY}", "index", 12),
    ]
    document = orjson.loads(actions[0].document)
    assert document["event"]["id"] == actions[0].id
    assert document["logsluice"]["revision"] == 12
    assert document["kafka"] == {
        "topic": "logs-topic",
        "partition": 1,
        "offset": 10,
        "timestamp": "2025-11-22T08:26:40.123Z",
    }


def test_what_cannot_be_read_becomes_a_dead_letter_with_all_it_came_with() -> None:
    batch = records(b"fine", None, b"", b'{"broken": ')
    extracted = ColumnarExtractor(load_registry()).extract(extraction_input(batch))
    actions, letters = result_documents(batch, extracted, 1, "dev-results-index")
    assert [action.id for action in actions] == [str(batch.event_id(0))]
    assert [letter.reason for letter in letters] == ["tombstone", "empty", "invalid_json"]
    assert [letter.event_id for letter in letters] == [batch.event_id(row) for row in (1, 2, 3)]
    assert [letter.value for letter in letters] == [None, b"", b'{"broken": ']
    assert {(letter.key, letter.headers[0]) for letter in letters} == {(b"key", ("source", b"web"))}


def test_what_is_known_since_the_way_in_reaches_the_extractor() -> None:
    cut = [("logsluice-original-length", b"5000000"), ("logsluice-original-sha256", b"ab" * 32)]
    batch = Records(["t"] * 3, [0] * 3, [0, 1, 2], [NOON] * 3, [b"a", b"b", b"c"], (), [cut, None, []])
    given = extraction_input(batch)
    assert given["original_length"].to_pylist() == [5_000_000, None, None]
    assert given["original_sha256"].to_pylist() == ["ab" * 32, None, None]
    assert given["reference_ms"].to_pylist() == [NOON] * 3


@pytest.mark.parametrize(
    ("timestamp_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (NOON, "2025-11-22T08:26:40.123Z"),
        (1_763_800_000_999, "2025-11-22T08:26:40.999Z"),
    ],
)
def test_times_of_kafka_are_written_to_the_millisecond(timestamp_ms: int, text: str) -> None:
    assert iso_millis(timestamp_ms) == text
