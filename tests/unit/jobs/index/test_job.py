from __future__ import annotations

from collections import namedtuple

import orjson

from logsluice.event.identity import EventId
from logsluice.jobs.index.dead_letters import plan_letters
from logsluice.jobs.index.job import plan_events
from logsluice.kafka.dead_letters import REPLAYED, DeadLetter, to_record
from logsluice.runtime.time_expressions import parse_moment
from logsluice.settings import Settings

Record = namedtuple("Record", "topic partition offset timestamp key value headers")
DAY = 1_763_800_000_000


def record(offset: int, value: bytes | None) -> Record:
    return Record("logs-topic", 2, offset, DAY, b"k", value, [("h", b"1")])


def test_each_record_becomes_one_write_or_one_dead_letter() -> None:
    records = [record(0, b"a"), record(1, None), record(2, b"\xff"), record(3, b""), record(4, b"{}")]
    planned = plan_events(records, Settings(env="dev"))
    logs, measurements = planned.actions
    assert [(action.op, action.id) for action in logs] == [
        ("create", f"logs-topic-2-{offset}-{DAY}") for offset in (0, 2, 4)
    ]
    assert measurements == []
    assert {action.index for action in logs} == {"dev-logs-index-2025.11.22"}
    assert [source.offset for source in planned.sources[0]] == [0, 2, 4]
    assert [(letter.event_id.offset, letter.reason) for letter in planned.letters] == [(1, "tombstone"), (3, "empty")]
    assert {(letter.consumer, letter.key, letter.headers[0]) for letter in planned.letters} == {
        ("index", b"k", ("h", b"1"))
    }
    assert planned.invalid == 1


def test_measurements_go_to_their_own_index() -> None:
    records = [record(0, b"a"), record(1, b'{"event":{"kind":"metric"},"message":"load 0.5"}'), record(2, b"c")]
    logs, measurements = plan_events(records, Settings(env="prod")).actions
    assert [action.id for action in logs] == [f"logs-topic-2-{offset}-{DAY}" for offset in (0, 2)]
    assert [(action.index, action.id) for action in measurements] == [
        ("prod-metrics-index-2025.11.22", f"logs-topic-2-1-{DAY}")
    ]


LETTER = DeadLetter("regex", EventId("logs-topic", 0, 7, DAY), "regex_timeout", "", b"caf\xe9", None, [("h", b"1")])


def stored(offset: int, letter: DeadLetter) -> Record:
    key, value, headers = to_record(letter, parse_moment("2026-11-22T10:00:00Z"))
    return Record("logs-topic-dlq", 0, offset, DAY + 86_400_000, key, value, headers)


def test_each_letter_becomes_a_document_under_the_id_of_its_own_record() -> None:
    rejected = LETTER._replace(value=None, reason="rejected", detail="größer")
    done = Record("logs-topic-dlq", 0, 2, DAY, b"k", None, [(REPLAYED, b"2026-11-22T10:00:00.000Z")])
    foreign = [record(3, b"not ours"), stored(4, LETTER)._replace(headers=[("logsluice-consumer", b"x")])]
    actions, foreign_records = plan_letters(
        [stored(0, LETTER), stored(1, rejected), done, *foreign], "dev-dead-letters-index"
    )
    assert foreign_records == 2
    assert [(action.op, action.index, action.id) for action in actions] == [
        ("create", "dev-dead-letters-index-2025.11.23", f"logs-topic-dlq-0-{offset}-{DAY + 86_400_000}")
        for offset in (0, 1)
    ]
    first, second = (orjson.loads(action.document) for action in actions)
    assert first == {
        "@timestamp": "2025-11-23T08:26:40.000Z",
        "message": "caf\ufffd",
        "event": {"id": f"logs-topic-0-7-{DAY}", "original": "caf\ufffd"},
        "dead_letter": {"consumer": "regex", "reason": "regex_timeout"},
        "kafka": {"topic": "logs-topic-dlq", "partition": 0, "offset": 0, "timestamp": "2025-11-23T08:26:40.000Z"},
    }
    assert second["message"] == "rejected"
    assert second["event"] == {"id": f"logs-topic-0-7-{DAY}"}
    assert second["dead_letter"] == {"consumer": "regex", "reason": "rejected", "detail": "größer"}
