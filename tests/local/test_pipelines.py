"""The regex job's modes against each other, and history that is extracted again.

``LOGSLUICE_HISTORY_EVENTS`` sets over how many events history is extracted again.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from kafka import TopicPartition

from logsluice.event.identity import EventId
from logsluice.extract import load_registry
from logsluice.kafka.clients import admin
from logsluice.settings import Settings
from tests.local.lines import HOSTILE, mixed
from tests.local.pipeline import Pipeline, assert_no_stack_trace
from tests.local.running import ROOT, Runner, eventually

EVENTS = int(os.environ.get("LOGSLUICE_HISTORY_EVENTS", "10000"))
SECONDS = 900
DEV = ROOT / "config" / "dev"
PATTERN = """\
patterns:
  - name: order
    description: Number of an order
    regex: '(?a)\\border (?P<order>[0-9]+)'
    fields: {order: event.code}
    examples:
      - {message: 'order 17 paid', fields: {event.code: '17'}}
    counterexamples: ['orders 17']
"""

pytestmark = pytest.mark.timeout(3_600)


@pytest.fixture
def pipeline(settings: Settings, elasticsearch_client: Elasticsearch, runner: Runner) -> Pipeline:
    return Pipeline(settings, elasticsearch_client, runner)


def run(pipeline: Pipeline, *arguments: str, **environment: str) -> str:
    """Run the regex job to its end."""
    job = pipeline.runner.job("regex_job", *arguments, env=environment)
    assert job.wait(SECONDS) == 0, job.output[-3_000:]
    assert_no_stack_trace(job.output)
    return job.output


def results(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    return pipeline.documents(pipeline.settings.results_index)


def test_every_mode_gives_the_same_documents(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.set_up()
    values: list[bytes | None] = [None, b"", *mixed(3_000), *HOSTILE]
    headers = [("log.file.path", b"/var/log/app.log"), ("empty", b"")]
    ids = pipeline.send(values[:2_000], key=b"web1") + pipeline.send(values[2_000:], headers=headers)
    index_job = pipeline.index_job()
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for mode in ("stream", "optimized"):
        run(pipeline, "--mode", mode, "--until-caught-up", LOGSLUICE_HOME=str(tmp_path / mode))
        found[mode] = results(pipeline)
        forget(pipeline)
    run(pipeline, "--mode", "batch")
    found["batch"] = results(pipeline)
    dead = {name for (consumer, name), _ in pipeline.letters().items() if consumer == "regex"}
    assert found["stream"].keys() | dead == set(ids)
    assert not found["stream"].keys() & dead
    assert len(dead) > 2
    assert found["optimized"] == found["stream"]
    assert found["batch"] == found["stream"]

    letters = pipeline.letters()
    empty = sum(consumer == "index" for consumer, _ in letters)
    pipeline.wait_for(len(values) - empty, len(found["stream"]), [index_job])
    # What the logs index alone can't tell (bytes that are not UTF-8) is taken from the results of before.
    run(pipeline, "--mode", "batch", "--source", "logs")
    assert results(pipeline) == found["stream"]
    assert pipeline.letters() == letters


def forget(pipeline: Pipeline) -> None:
    """Delete the results."""
    for index in pipeline.client.indices.get(index=f"{pipeline.settings.results_index}-*"):
        pipeline.client.indices.delete(index=index)


def test_a_newer_registry_changes_the_facts_of_history_and_an_older_one_nothing(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    pipeline.set_up()
    values = list(mixed(EVENTS))
    ids = pipeline.send(values)
    newer = tmp_path / "newer"
    newer.mkdir()
    (newer / "settings.yaml").write_text((DEV / "settings.yaml").read_text())
    revision = load_registry(DEV).revision
    (newer / "patterns.yaml").write_text(f"revision: {revision + 1}\n{PATTERN}")

    index_job = pipeline.index_job()
    run(pipeline, "--mode", "batch")
    before = results(pipeline)
    assert {document["logsluice"]["revision"] for document in before.values()} == {revision}
    dead = {name for consumer, name in pipeline.letters() if consumer == "index"}
    pipeline.wait_for(len(ids) - len(dead), len(before), [index_job])

    printed = run(pipeline, "--mode", "batch", "--source", "logs", "--config", str(newer))
    assert "done" in printed
    after = results(pipeline)
    assert after.keys() == before.keys()
    orders = 0
    for name, document in after.items():
        assert document["logsluice"]["revision"] == revision + 1
        if "order" in document["logsluice"].get("patterns", ()):
            orders += 1
            assert document["event"]["code"].isdigit()
        assert without_order(document) == without_order(before[name])
    assert orders > EVENTS / 3

    run(pipeline, "--mode", "batch", "--source", "logs")
    assert results(pipeline) == after
    run(pipeline, "--mode", "batch")
    assert results(pipeline) == after


def without_order(document: dict[str, Any]) -> dict[str, Any]:
    """A document without what the newer registry added."""
    event = {name: value for name, value in document["event"].items() if name != "code"}
    own = {name: value for name, value in document["logsluice"].items() if name != "revision"}
    patterns = [name for name in own.pop("patterns", []) if name != "order"]
    return {**document, "event": event, "logsluice": own, "patterns": patterns}


def test_history_begins_where_it_is_told_to(pipeline: Pipeline) -> None:
    pipeline.set_up()
    (early,) = pipeline.send([b"INFO early"])
    eventually(lambda: time.time() * 1000 > appended(early) + 100)
    (late,) = pipeline.send([b"INFO late"])
    moment = datetime.fromtimestamp(appended(late) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    run(pipeline, "--mode", "batch", "--since", moment)
    assert set(results(pipeline)) == {late}

    index_job = pipeline.index_job()
    pipeline.wait_for(2, 1, [index_job])
    forget(pipeline)
    run(pipeline, "--mode", "batch", "--source", "logs", "--since", moment)
    assert set(results(pipeline)) == {late}


def appended(event_id: str) -> int:
    """When Kafka appended an event, milliseconds since the epoch."""
    return EventId.parse(event_id).timestamp_ms


def test_events_that_retention_removed_are_counted_and_the_others_follow(pipeline: Pipeline) -> None:
    pipeline.set_up()
    topic = pipeline.settings.kafka.topic
    read = pipeline.send([b"INFO number %d" % number for number in range(20)], partition=0)
    run(pipeline, "--mode", "stream", "--until-caught-up")
    lost = pipeline.send([b"INFO number %d" % number for number in range(20, 50)], partition=0)
    with closing(admin(pipeline.settings, job="test")) as client:
        client.delete_records({TopicPartition(topic, 0): len(read) + len(lost)})
    after = pipeline.send([b"INFO number %d" % number for number in range(50, 60)], partition=0)
    printed = run(pipeline, "--mode", "stream", "--until-caught-up")
    (line,) = [line for line in printed.splitlines() if "removed by the topic's retention" in line]
    assert json.loads(line)["events"] == 30
    assert results(pipeline).keys() == {*read, *after}
