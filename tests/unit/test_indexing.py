from __future__ import annotations

from collections import namedtuple

from logsluice.indexing import plan

Record = namedtuple("Record", "topic partition offset timestamp key value headers")


def record(offset: int, value: bytes | None) -> Record:
    return Record("logs-topic", 2, offset, 1_763_800_000_000, b"k", value, [("h", b"1")])


def test_each_record_becomes_one_write_or_one_dead_letter() -> None:
    records = [record(0, b"a"), record(1, None), record(2, b"\xff"), record(3, b""), record(4, b"{}")]
    planned = plan(records, "dev-logs-index")
    assert [(action.op, action.id) for action in planned.actions] == [
        ("create", f"logs-topic-2-{offset}-1763800000000") for offset in (0, 2, 4)
    ]
    assert {action.index for action in planned.actions} == {"dev-logs-index-2025.11.22"}
    assert [source.offset for source in planned.sources] == [0, 2, 4]
    assert [(letter.event_id.offset, letter.reason) for letter in planned.letters] == [(1, "tombstone"), (3, "empty")]
    assert {(letter.consumer, letter.key, letter.headers[0]) for letter in planned.letters} == {
        ("index", b"k", ("h", b"1"))
    }
    assert planned.invalid == 1
