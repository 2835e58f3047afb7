"""Input that nobody wants: each event is indexed with a remark or a dead letter with its reason, and counted."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from elasticsearch import Elasticsearch

from logsluice.settings import Settings
from tests.local.pipeline import Pipeline, ends_well, metric
from tests.local.running import Job, Runner, eventually

pytestmark = pytest.mark.timeout(1_200)

MEGABYTE = 1_000_000

# Look-behind keeps the first pattern on `re`, where nested quantifiers take forever on a line that almost matches.
PATTERNS = """\
revision: 1
patterns:
  - name: ticket
    description: A ticket in capitals
    regex: '(?P<ticket>(?:[A-Z]+)+)(?<!AAAA)!'
    fields: {ticket: labels.ticket}
    examples: [{message: 'see ABC!', fields: {labels.ticket: ABC}}]
    counterexamples: ['see abc!']
"""
MENDED = PATTERNS.replace("(?:[A-Z]+)+", "[A-Z]+").replace("revision: 1", "revision: 2")


@dataclass(frozen=True)
class Case:
    """An event and what has to become of it.

    Attributes:
        name: For people.
        value: The event.
        results: Tags in the results index, or the reason of its dead letter.
        logs: The same for the logs index.
        expected: Fields of the result.
    """

    name: str
    value: bytes | None
    results: tuple[str, ...] | str = ()
    logs: tuple[str, ...] | str = ()
    expected: dict[str, Any] = field(default_factory=dict)


UNTIMED = ("timestamp_missing",)

CASES = [
    Case("tombstone", None, "tombstone", "tombstone"),
    Case("empty", b"", "empty", "empty"),
    Case("blank", b" \t\r\n", "empty", "empty"),
    Case("NULs", b"\0" * 10_000, "empty", "empty"),
    Case("NULs inside", b"ERROR disk\0full", UNTIMED, expected={"log.level": "error"}),
    Case(
        "invalid UTF-8",
        b"ERROR caf\xe9 \xff\xfe",
        ("invalid_utf8", *UNTIMED),
        ("invalid_utf8",),
        {"log.level": "error"},
    ),
    Case("invalid UTF-8 in JSON", b'{"message":"caf\xe9"}', ("invalid_utf8", *UNTIMED), ("invalid_utf8",)),
    Case("broken JSON", b'{"level":"error","message":"cut off he', "invalid_json"),
    Case("JSON array", b'["a", 1]', UNTIMED, expected={"message": '["a", 1]'}),
    Case("JSON number", b"42", UNTIMED, expected={"message": "42"}),
    Case("JSON null", b"null", UNTIMED, expected={"message": "null"}),
    Case("empty object", b"{}", UNTIMED),
    Case("too deep for JSON", b'{"message":"deep","x":' + b'{"a":' * 400 + b"1" + b"}" * 401, UNTIMED),
    Case(
        "future",
        b'{"@timestamp":"2099-01-01T00:00:00Z","message":"from the future"}',
        ("timestamp_future",),
        expected={"@timestamp": "2099-01-01T00:00:00.000Z"},
    ),
    Case(
        "1970",
        b"1970-01-01 00:00:03,000 INFO [app] the clock was not set",
        ("timestamp_epoch",),
        expected={"@timestamp": "1970-01-01T00:00:03.000Z"},
    ),
    Case("no such day", b'{"@timestamp":"2026-02-31T00:00:00Z","message":"the 31st of February"}', UNTIMED),
    Case(
        "wrong type of a number",
        b'{"message":"odd","http":{"response":{"status_code":"teapot"}},"process":{"pid":99999999999999999999}}',
        ("wrong_type", *UNTIMED),
        expected={"message": "odd"},
    ),
    Case("wrong type of an address", b'{"message":"odd","source":{"ip":"nowhere"}}', ("wrong_type", *UNTIMED)),
    Case("object for text", b'{"message":{"text":"hi"},"log":"x","host":"web1","process":7,"@timestamp":5}', UNTIMED),
    Case("fields of ours", b'{"message":"mine","kafka":{"offset":"x"},"event":{"id":7}}', UNTIMED),
    Case("a name of Elasticsearch's", b'{"message":"mine","_id":"1"}', UNTIMED, logs="rejected"),
    Case("odd names", b'{"message":"odd","a..b":1,"x.":2,".y":3}', UNTIMED),
    Case("a line of 1 MB", b"WARN " + b"x" * (MEGABYTE - 5), UNTIMED, expected={"log.level": "warn"}),
    Case("JSON of 1 MB", b'{"message":"' + b"y" * (MEGABYTE - 14) + b'"}', UNTIMED),
    Case("catastrophic for re", b"ticket " + b"A" * 60 + b"! is not one", "regex_timeout"),
]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "settings.yaml").write_text("env: dev\n")
    (folder / "patterns.yaml").write_text(PATTERNS)
    return folder


@pytest.fixture
def pipeline(settings: Settings, elasticsearch_client: Elasticsearch, runner: Runner, config: Path) -> Pipeline:
    return Pipeline(settings, elasticsearch_client, runner, config)


def test_bad_events_are_indexed_with_a_tag_or_become_dead_letters_and_the_others_go_on(
    pipeline: Pipeline, config: Path, tmp_path: Path
) -> None:
    pipeline.set_up()
    good = [b"2026-11-22 10:00:00,000 INFO [app] good event %d" % number for number in range(len(CASES) + 1)]
    values = [value for pair in zip(good, (case.value for case in CASES), strict=False) for value in pair]
    jobs = [pipeline.index_job(), pipeline.regex_job()]
    ids = pipeline.send([*values, good[-1]], key=b"web\xff", partition=0)
    by_case = dict(zip((case.name for case in CASES), ids[1::2], strict=True))
    good_ids = set(ids[::2])

    long = b"ERROR " + "ä".encode() * 2_500_000
    shipped = tmp_path / "long.log"
    shipped.write_bytes(b"\n".join([b"INFO before", long, b"INFO after"]) + b"\n")
    done = pipeline.runner.cli("ship", "--no-join", shipped)
    assert done.returncode == 0, done.stderr
    assert "1 cut to 1,000,000 bytes" in done.stderr

    dead = {
        (consumer, by_case[case.name]): outcome
        for case in CASES
        for consumer, outcome in (("index", case.logs), ("regex", case.results))
        if isinstance(outcome, str)
    }
    total = len(ids) + 3
    pipeline.wait_until_settled(total, jobs)
    names = {event_id: name for name, event_id in by_case.items()}
    letters = {(consumer, names.get(event_id)): reason for (consumer, event_id), reason in pipeline.letters().items()}
    assert letters == {(consumer, names[event_id]): reason for (consumer, event_id), reason in dead.items()}

    logs = pipeline.documents(pipeline.settings.logs_index)
    results = pipeline.documents(pipeline.settings.results_index)
    for case in CASES:
        name = by_case[case.name]
        for documents, outcome in ((logs, case.logs), (results, case.results)):
            if isinstance(outcome, str):
                assert name not in documents, case.name
            else:
                assert documents[name].get("tags", []) == list(outcome), case.name
                assert case.value is not None
                assert documents[name]["event"]["original"] == case.value.decode("utf-8", "replace"), case.name
        assert {key: at(results[name], key) for key in case.expected} == case.expected, case.name
    assert good_ids <= logs.keys()
    assert good_ids <= results.keys()
    assert all(results[name]["log"]["level"] == "info" for name in good_ids)
    assert_cut(logs, results, long)
    assert_counted(pipeline, jobs, total, dead)
    assert_listed(pipeline, dead)

    ends_well(*jobs)
    (config / "patterns.yaml").write_text(MENDED)
    assert_replayed_once(pipeline, by_case["catastrophic for re"], dead, results)


def at(document: dict[str, Any], name: str) -> Any:
    for part in name.split("."):
        document = document[part]
    return document


def assert_cut(logs: dict[str, Any], results: dict[str, Any], long: bytes) -> None:
    """The line of 5 MB is there up to its first 1,000,000 bytes, with its length and hash."""
    (name,) = [name for name, document in results.items() if "cut" in document.get("tags", [])]
    kept = long[:MEGABYTE].decode()
    assert logs[name]["event"]["original"] == results[name]["event"]["original"] == kept
    assert results[name]["logsluice"]["original_length"] == len(long)
    assert results[name]["event"]["hash"] == hashlib.sha256(long).hexdigest()
    assert results[name]["log"]["level"] == "error"
    assert {"INFO before", "INFO after"} <= {document["event"]["original"] for document in logs.values()}


def assert_counted(pipeline: Pipeline, jobs: list[Job], total: int, dead: dict[tuple[str, str], str]) -> None:
    """``/metrics`` of both jobs tells of every event, remark and dead letter."""
    ports = {"index": pipeline.settings.metrics.index, "regex": pipeline.settings.metrics.regex}
    for consumer, port in ports.items():
        reasons = Counter(reason for (name, _), reason in dead.items() if name == consumer)
        tags = Counter(
            tag
            for case in CASES
            for outcome in [case.logs if consumer == "index" else case.results]
            if not isinstance(outcome, str)
            for tag in outcome
        )
        if consumer == "regex":
            tags["cut"] += 1
            tags["timestamp_missing"] += 3

        def counted(consumer: str = consumer, port: int = port) -> bool:
            return metric(port, "logsluice_events_in_total", job=consumer) == total

        eventually(counted)
        destination = "logs" if consumer == "index" else "results"
        written = metric(port, "logsluice_events_out_total", job=consumer, destination=destination)
        assert written == total - sum(reasons.values())
        for reason, number in reasons.items():
            assert metric(port, "logsluice_dead_letters_total", job=consumer, reason=reason) == number, reason
        assert metric(port, "logsluice_dead_letters_total", job=consumer) == sum(reasons.values())
        for tag, number in tags.items():
            assert metric(port, "logsluice_tagged_events_total", job=consumer, tag=tag) == number, tag
        assert metric(port, "logsluice_tagged_events_total", job=consumer) == sum(tags.values())
    assert all(job.process.poll() is None for job in jobs)


def assert_listed(pipeline: Pipeline, dead: dict[tuple[str, str], str]) -> None:
    listed = [orjson.loads(line) for line in pipeline.dlq("list", "--json").splitlines()]
    assert {(entry["consumer"], entry["event_id"]): entry["reason"] for entry in listed} == dead
    table = pipeline.dlq("list", "--reason", "regex_timeout")
    assert "1 dead letters: regex_timeout 1" in table
    assert f"{len(dead)} dead letters" in pipeline.dlq("list", "--limit", "1")


def assert_replayed_once(
    pipeline: Pipeline, mended: str, dead: dict[tuple[str, str], str], before: dict[str, Any]
) -> None:
    """What the mended pattern reads is indexed under its own id; what is still bad stays a dead letter."""
    output = pipeline.dlq("replay")
    assert f"1 replayed, {len(dead) - 1} failed again and stay" in output
    for consumer, name in dead:
        assert (f"{consumer}/{name}:" in output) == (name != mended)
    after = pipeline.documents(pipeline.settings.results_index)
    assert after.keys() - before.keys() == {mended}
    assert {name: after[name] for name in before} == before
    assert after[mended]["event"]["original"].startswith("ticket AAAA")
    assert after[mended]["logsluice"]["revision"] == 2
    assert pipeline.letters() == {key: reason for key, reason in dead.items() if key[1] != mended}
    assert "No dead letters to replay." in pipeline.dlq("replay", "--reason", "regex_timeout")
    assert pipeline.counts() == (len(pipeline.documents(pipeline.settings.logs_index)), len(after))
