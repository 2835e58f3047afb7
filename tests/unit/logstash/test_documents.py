"""Logstash's documents are the index job's: our pipelines' filters, run as they are, against ``log_document``."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from logsluice.documents.log import log_document, unreadable
from logsluice.event.identity import EventId, dated_index
from logsluice.jobs.index.dead_letters import GROUP as LETTERS_GROUP
from logsluice.jobs.index.dead_letters import plan_letters
from logsluice.jobs.index.job import GROUP
from logsluice.jvm.java import system_java
from logsluice.kafka.dead_letters import REPLAYED, DeadLetter, from_record, to_record
from logsluice.settings import load_settings
from tests.shared.log_sets import SYSTEMS, log_file
from tests.shared.logstash_pipeline import pipeline_text
from tests.unit.logstash.logstash_config import parse

ROOT = Path(__file__).parents[3]
AT = 1_763_800_000_123


class Record(NamedTuple):
    value: bytes | None
    key: str | None = None
    timestamp: int = AT
    headers: Sequence[tuple[str, bytes | None]] = ()


Run = Callable[..., list[Any]]
EVENTS, LETTERS = 0, 1


def pipeline(environment: str) -> dict[str, list[dict[str, Any]]]:
    return parse(pipeline_text(environment))


def plugins(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every plugin of a section, those in branches too."""
    found = []
    for part in parts:
        if "branches" in part:
            for _, inside in part["branches"]:
                found += plugins(inside)
        else:
            found.append(part)
    return found


def event_id(offset: int, record: Record, topic: str = "logs-topic") -> EventId:
    return EventId(topic, 3, offset, record.timestamp)


@pytest.fixture(scope="session")
def run(jruby: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs records through dev's filters, on JRuby."""
    config = pipeline("dev")
    inputs = [part["options"] for part in config["input"] if part["plugin"] == "kafka"]
    given_to_ruby = {"filter": config["filter"], "inputs": inputs}
    path = tmp_path_factory.mktemp("logstash") / "pipeline.json"
    path.write_text(json.dumps(given_to_ruby))
    command = [str(system_java().path), "-jar", str(jruby), str(Path(__file__).with_name("pipeline.rb")), str(path)]

    def run_them(records: Sequence[Record], source: int = EVENTS) -> list[Any]:
        lines = [
            json.dumps(
                {
                    "input": source,
                    "topic": inputs[source]["topics"][0],
                    "partition": 3,
                    "offset": offset,
                    "timestamp": record.timestamp,
                    "key": record.key,
                    "value": None if record.value is None else list(record.value),
                    "headers": [(name, None if value is None else list(value)) for name, value in record.headers],
                }
            )
            for offset, record in enumerate(records)
        ]
        done = subprocess.run(command, input="\n".join(lines).encode(), capture_output=True, timeout=300)
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        return [json.loads(line) for line in done.stdout.decode().split("\n") if line]

    return run_them


def assert_the_same(run: Run, records: Sequence[Record]) -> None:
    events = run(records)
    assert len(events) == len(records)
    for offset, (record, event) in enumerate(zip(records, events, strict=True)):
        identity = event_id(offset, record)
        metadata = event.pop("@metadata")
        assert metadata["id"] == str(identity)
        reason = unreadable(record.value)
        assert metadata.get("unreadable") == ("empty" if reason else None), record
        if reason is None:
            assert record.value is not None
            expected = log_document(identity, record.key.encode() if record.key else None, record.value)
            assert event == orjson.loads(expected.body), record
            alias = "dev-metrics-index" if expected.metric else "dev-logs-index"
            assert metadata["index"] == dated_index(alias, record.timestamp)


@pytest.mark.slow
def test_every_document_is_the_index_jobs(run: Run) -> None:
    nested = [b'{"message":"deep","x":' + b'{"a":' * deep + b"1" + b"}" * deep + b"}" for deep in (10, 253, 254, 300)]
    values: list[bytes | None] = [
        b"disk full on /var",
        b"",
        None,
        b" \t\r\n",
        b"\x00\x00",
        b"{}",
        b'  {"a": 1}',
        b'{"@timestamp":"2026-11-22T10:00:00Z","message":"paid","amount":12.5,"user":{"id":7},"host":"web1"}',
        b'{"event":"login","kafka":"x","message":{"text":"hi"}}',
        b'{"event":{"action":"login","id":"theirs","original":"no"}}',
        b'{"broken": ',
        b'{"a":1} and more',
        b"[1, 2]",
        b'"text"',
        b"{not json}",
        b'{"a": NaN}',
        b"\xef\xbb\xbf" + b'{"message":"hi"}',
        b"\xef\xbb\xbfnot json",
        b"caf\xe9",
        b"\xe2\x82 and \xf0\x9f\x98 and \xff\xfe",
        b'{"tags":["a"],"x":"\xe9"}',
        b'{"tags":"a","x":"\xe9"}',
        b'{"tags":["a"],"@version":"2","":null,"list":[1,{"b":null}],"big":12345678901234567890,"small":1e-7}',
        '{"message":"für 😀","a.b":{"c.d":true}}'.encode(),
        "für 😀 \ufffd".encode(),
        b'{"event":{"kind":"metric"},"system":{"load":0.5}}',
        b'{"event.kind":"metric"}',
        b'{"event":"login","event.kind":"metric"}',
        b'{"event":"metric"}',
        b'{"event":{"kind":"event"},"event.kind":"metric"}',
        b'{"event.kind":"metric","event":{"kind":"event"}}',
        b'{"event.kind":"event","event":{"kind":"metric"},"event.kind":"x"}',
        b'{"event":{"kind":null},"event.kind":"metric"}',
        b'{"event":{"kind":["metric"]}}',
        b'{"event":{"kind":{"a":1}},"event.kind":{"b":2}}',
        b'{"event":{"kind":"metric"},"x":\xff}',
        b'{"event":{"kind":"metric"},"x":' + b'{"a":' * 300 + b"1" + b"}" * 300 + b"}",
        *nested,
    ]
    without_empty_names = [value for value in values if value is None or b'"":' not in value]
    assert_the_same(run, [Record(value, key) for value in without_empty_names for key in (None, "web-1 ü")])


STAMPS = [
    "2026-11-22T10:00:00.5+01:00",
    "2026-11-22T10:00:00+0100",
    "2026-11-22T10:00:00-11",
    "2026-11-22T10:00:00.123456Z",
    "2026-11-22T10:00:00.123456789Z",
    "2026-11-22T10:00:00,25Z",
    "2026-11-22T10:00:00",
    "2026-11-22T10:00",
    "2026-11-22T10:00+02:00",
    "1970-01-01T00:00:00Z",
    "2024-02-29T23:59:59Z",
    "2026-02-30T10:00:00Z",
    "2026-13-01T10:00:00Z",
    "2026-11-22T24:00:00Z",
    "2026-11-22T10:60:00Z",
    "2026-11-22T10:00:60Z",
    "2026-11-22T10:00:00+24:00",
    "0001-01-01T00:00:00+10:00",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59-10:00",
    "2026-11-22 10:00:00",
    "2026-11-22T10:00:00Z ",
    "yesterday",
    "",
]


@pytest.mark.slow
def test_the_same_timestamps_count(run: Run) -> None:
    values = [*STAMPS, 1_763_800_000, None, {"a": 1}]
    assert_the_same(run, [Record(orjson.dumps({"@timestamp": value})) for value in values])


@pytest.mark.slow
def test_days_and_ids_are_of_the_records_own_timestamp(run: Run) -> None:
    stamps = [0, 999, 86_399_999, 86_400_000, 1_763_855_999_999, 1_763_856_000_000, 4_102_444_800_000]
    assert_the_same(run, [Record(b'{"@timestamp":"2020-01-01T00:00:00Z"}', timestamp=stamp) for stamp in stamps])


@pytest.mark.slow
def test_names_that_logstash_reads_as_paths_stay_in_the_original_alone(run: Run) -> None:
    line = b'{"a[b]":1,"[c]":2,"":3,"@metadata":{"kafka":{"topic":"theirs"}},"fine":4}'
    [event] = run([Record(line)])
    assert event["fine"] == 4
    assert event["event"]["original"] == line.decode()
    assert event["@metadata"]["kafka"]["topic"] == "logs-topic"
    assert not {"a[b]", "[c]", "", "b", "c"} & event.keys()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=12),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text("abc._@", max_size=4), inside, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(
    st.sampled_from(["@timestamp", "message", "event", "event.kind", "kafka", "a", "b.c", "log", "@version"])
    | st.text("xyz._@-", min_size=1, max_size=5),
    JSON | st.sampled_from([*STAMPS, "metric", {"kind": "metric"}, {"kind": "event"}]),
    max_size=5,
)
LINES = FIELDS.map(orjson.dumps) | st.binary(max_size=40) | st.text(max_size=40).map(lambda text: text.encode())


@pytest.mark.slow
# Each example starts a JVM: many lines in few of them, and none made smaller.
@settings(
    max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate]
)
@given(st.lists(LINES, min_size=100, max_size=200))
def test_any_line_gives_the_same(run: Run, lines: list[bytes]) -> None:
    assert_the_same(run, [Record(line) for line in lines])


NAMES = st.sampled_from(["", "a[b]", "h", "log.file.path", "größe"])
LETTER = st.builds(
    DeadLetter,
    consumer=st.sampled_from(["index", "regex"]),
    event_id=st.builds(
        EventId, st.sampled_from(["logs-topic", "a.b-1"]), st.integers(0, 99), st.integers(0, 2**40), st.just(AT)
    ),
    reason=st.sampled_from(["tombstone", "empty", "rejected", "regex_timeout"]),
    detail=st.text(max_size=20),
    value=st.none() | st.binary(max_size=30) | st.text(max_size=30).map(lambda text: text.encode()),
    key=st.none() | st.binary(max_size=4),
    headers=st.lists(st.tuples(NAMES, st.none() | st.binary(max_size=3)), max_size=3),
)


def _as_stored(letter: DeadLetter) -> Record:
    _, value, headers = to_record(letter, datetime.now(UTC))
    return Record(value, headers=headers)


@pytest.mark.slow
@settings(
    max_examples=1, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate]
)
@given(st.lists(LETTER, min_size=100, max_size=200))
def test_any_dead_letter_gives_the_document_of_the_index_job(run: Run, letters: list[DeadLetter]) -> None:
    ours = _as_stored(letters[0]).headers
    others = [
        Record(None, headers=[(REPLAYED, b"2026-11-22T10:00:00.000Z")]),
        Record(b"of somebody else"),
        Record(b"with half of the headers", headers=ours[:2]),
        Record(b"x", headers=[(name, b"no id" if name == "logsluice-event-id" else value) for name, value in ours]),
        Record(b"x", headers=[(name, None if name == "logsluice-reason" else value) for name, value in ours]),
        Record(b"x", headers=[(name, b"\xff" if name == "logsluice-reason" else value) for name, value in ours]),
        Record(b"on another day", headers=ours, timestamp=0),
    ]
    records = [*map(_as_stored, letters), *others]
    events = run(records, LETTERS)
    assert len(events) == len(records)
    for offset, (record, event) in enumerate(zip(records, events, strict=True)):
        stored = SimpleNamespace(
            topic="logs-topic-dlq",
            partition=3,
            offset=offset,
            timestamp=record.timestamp,
            value=record.value,
            headers=record.headers,
        )
        actions, _ = plan_letters([stored], "dev-dead-letters-index")
        if not actions:
            assert event is None, record
            continue
        metadata = event.pop("@metadata")
        assert (metadata["id"], metadata["index"]) == (actions[0].id, actions[0].index)
        assert event == orjson.loads(actions[0].document), record
    assert sum(event is None for event in events) == len(others) - 1


@pytest.mark.slow
def test_logs_of_six_systems_give_the_same(run: Run) -> None:
    lines = [line for name in SYSTEMS for line in log_file(name).read_bytes().split(b"\n")[:2000]]
    assert_the_same(run, [Record(line.removesuffix(b"\r")) for line in lines])


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_what_arrives_by_beats_goes_to_kafka_and_nowhere_else(environment: str) -> None:
    config = pipeline(environment)
    assert [part["plugin"] for part in config["input"]] == ["kafka", "kafka", "beats"]
    _, filters = config["filter"]
    assert [condition for condition, _ in filters["branches"]] == [
        {"field": "[@metadata][letter]", "negated": False},
        {"field": "[@metadata][kafka]", "negated": False},
    ]
    [outputs] = config["output"]
    (first, sent), (_, letters), (last, stored) = outputs["branches"]
    assert first == {"field": "[@metadata][kafka]", "negated": True}
    assert last is None
    assert [part["plugin"] for part in (*sent, *letters, *stored)] == ["kafka", "kafka", "elasticsearch"]
    assert sent[0]["options"]["topic_id"] == "%{[@metadata][topic]}"
    assert letters[0]["options"]["topic_id"] == "%{[@metadata][topic]}-dlq"


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_names_are_those_of_the_settings_and_of_the_index_job(environment: str) -> None:
    expected = load_settings(ROOT / "config" / environment)
    config = pipeline(environment)
    reading, reading_letters, sending, letters = (
        part["options"] for part in plugins(config["input"] + config["output"]) if part["plugin"] == "kafka"
    )
    names, *added = (part["options"] for part in plugins(config["filter"]) if part["plugin"] == "mutate")
    of_letters, of_events = (options["add_field"] for options in added)

    def filled(text: str) -> str:
        for field, value in names["replace"].items():
            text = text.replace(f"%{{{field}}}", value)
        return text

    assert (reading["topics"], reading["group_id"]) == ([expected.kafka.topic], GROUP)
    assert (reading_letters["topics"], reading_letters["group_id"]) == (
        [expected.kafka.dead_letter_topic],
        LETTERS_GROUP,
    )
    assert reading["client_id"] != reading_letters["client_id"]
    assert filled(sending["topic_id"]) == expected.kafka.topic
    assert filled(letters["topic_id"]) == expected.kafka.dead_letter_topic
    assert filled(of_events["[@metadata][index]"]) == f"{expected.logs_index}-%{{+yyyy.MM.dd}}"
    assert filled(of_events["[@metadata][metrics_index]"]) == f"{expected.metrics_index}-%{{+yyyy.MM.dd}}"
    assert filled(of_letters["[@metadata][index]"]) == f"{expected.dead_letters_index}-%{{+yyyy.MM.dd}}"


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_no_header_of_an_event_can_stop_the_input(environment: str) -> None:
    """Logstash makes a path of a header's name; letters are written with names that are none."""
    reading, letters = (
        part["options"]["decorate_events"] for part in pipeline(environment)["input"] if part["plugin"] == "kafka"
    )
    assert (reading, letters) == ("basic", "extended")


def test_a_letter_is_read_as_one_of_the_index_job() -> None:
    """Empty here stands for a tombstone too: Logstash sees no difference."""
    options = next(
        part["options"] for part in plugins(pipeline("dev")["output"]) if "message_headers" in part["options"]
    )
    filled = {
        "%{[@metadata][id]}": "logs-topic-3-7-123",
        "%{[@metadata][unreadable]}": "empty",
        "%{[@metadata][now]}": "2026-11-22T10:00:00.000Z",
    }
    headers = [(name, filled.get(value, value).encode()) for name, value in options["message_headers"].items()]
    letter = from_record(b"", headers)
    assert letter is not None
    assert (letter.consumer, str(letter.event_id), letter.reason) == ("index", "logs-topic-3-7-123", "empty")
    assert options["message_key"] == "index/%{[@metadata][id]}"


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_events_are_created_under_their_id_and_day(environment: str) -> None:
    [options] = [part["options"] for part in plugins(pipeline(environment)["output"]) if part["plugin"] != "kafka"]
    assert (options["action"], options["document_id"], options["index"]) == (
        "create",
        "%{[@metadata][id]}",
        "%{[@metadata][index]}",
    )
    assert [options[name] for name in ("manage_template", "ilm_enabled", "data_stream")] == [False] * 3


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_every_way_to_kafka_is_secured_as_the_others(environment: str) -> None:
    config = pipeline(environment)
    kafka_options = [
        part["options"] for part in plugins(config["input"] + config["output"]) if part["plugin"] == "kafka"
    ]
    secured = [
        {key: value for key, value in each.items() if key.startswith(("sasl", "ssl", "security", "bootstrap"))}
        for each in kafka_options
    ]
    assert len(secured) == 4
    assert all(each == secured[0] for each in secured)
    assert secured[0]["security_protocol"] == "${KAFKA_SECURITY_PROTOCOL:PLAINTEXT}"


@pytest.mark.slow
def test_what_the_interpreter_does_not_know_it_refuses(jruby: Path, tmp_path: Path) -> None:
    """All in one run: the JVM takes longer to start than to look at them."""
    refused = {
        "a plugin": "filter { grok { match => { 'message' => 'x' } } }",
        "an option of date": "filter { date { match => ['message', 'UNIX_MS'] target => 'x' } }",
        "a format of date": "filter { date { match => ['message', 'ISO8601'] } }",
        "an option of mutate": "filter { mutate { rename => { 'a' => 'b' } } }",
        "an option of ruby": "filter { ruby { path => '/x.rb' } }",
    }
    script = tmp_path / "refusals.rb"
    source = (Path(__file__).with_name("pipeline.rb")).read_text().partition("pipeline = JSON.parse(File.read")[0]
    script.write_text(
        source + "JSON.parse($stdin.read).each { |name, parts| puts(name) if (build(parts) rescue nil) }\n"
    )
    command = [str(system_java().path), "-jar", str(jruby), str(script)]
    given_to_ruby = {name: parse(text)["filter"] for name, text in refused.items()}
    known = {"what is known": parse("filter { mutate { remove_field => ['a'] } }")["filter"]}
    done = subprocess.run(command, input=json.dumps(given_to_ruby | known).encode(), capture_output=True, timeout=300)
    assert done.stdout.decode().splitlines() == ["what is known"], done.stderr.decode()
