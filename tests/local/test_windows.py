"""The windows job on a real broker, Spark and Elasticsearch, against DuckDB over the original events.

``LOGSLUICE_TEST_EVENTS`` sets how many events there are.
"""

from __future__ import annotations

import io
import os
import time
from collections import Counter
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from elasticsearch import Elasticsearch

from logsluice.extract import INPUT_SCHEMA, load_registry
from logsluice.kafka.clients import admin
from logsluice.kafka.offsets import committed_offsets, latest_offsets
from logsluice.kafka.topics import describe_topic
from logsluice.settings import Settings
from tests.local.pipeline import Pipeline, assert_runs, ends_well, metric, wait_for_output
from tests.local.running import Job, Runner, eventually
from tests.local.windowing import SECOND, Fact, Sent, Truth, assert_document, document_id, send, shop, truth
from tests.oracles.reference_extractor import ReferenceExtractor
from tests.shared.log_sets import SYSTEMS, log_file

EVENTS = int(os.environ.get("LOGSLUICE_TEST_EVENTS", "20000"))
SEED = 11
SECONDS = 1_500
SPAN = 2_400

pytestmark = [pytest.mark.long, pytest.mark.timeout(3_600)]


@pytest.fixture
def pipeline(settings: Settings, elasticsearch_client: Elasticsearch, runner: Runner) -> Pipeline:
    return Pipeline(settings, elasticsearch_client, runner)


def start(pipeline: Pipeline, **variables: str) -> Job:
    environment = {
        "LOGSLUICE_WINDOWS__MAX_OFFSETS_PER_TRIGGER": str(max(EVENTS // 5, 1)),
        "LOGSLUICE_WINDOWS__TRIGGER_SECONDS": "1",
        # Longer than a slow machine takes from one batch to the next.
        "LOGSLUICE_WINDOWS__IDLE_SECONDS": "10",
        # The samples are old, and their days have to have an index all the same.
        "LOGSLUICE_ELASTICSEARCH__RETENTION_DAYS": "30000",
    }
    return pipeline.runner.job("windows_job", env=environment | variables)


def written(pipeline: Pipeline, job: Job) -> int:
    assert_runs(job)
    return pipeline.count(pipeline.settings.windows_index)


def wait_for_windows(pipeline: Pipeline, job: Job, expected: Truth) -> dict[str, dict[str, Any]]:
    """The documents, once there are as many as there should be, with all late events among them."""
    late = len(expected.late)

    def all_there() -> bool:
        if written(pipeline, job) < len(expected.windows):
            return False
        found = pipeline.documents(pipeline.settings.windows_index, ["window.late"])
        return bool(sum(document["window"]["late"] for document in found.values()) >= late)

    with suppress(AssertionError):
        eventually(all_there, seconds=SECONDS, every=1)
    assert_runs(job)
    return pipeline.documents(pipeline.settings.windows_index)


def assert_windows(pipeline: Pipeline, documents: dict[str, dict[str, Any]], expected: Truth) -> None:
    """Elasticsearch, CSV and Parquet have every window once, with the true numbers."""
    assert documents.keys() == {document_id(key) for key in expected.windows}
    for key in expected.windows:
        assert_document(documents[document_id(key)], expected, key)
    folder = Path(pipeline.settings.windows_output) / "windows"
    parquet = pl.read_parquet(f"{folder}/parquet/*/*/*.parquet", hive_partitioning=False)
    csv = pl.concat([pl.read_csv(path, infer_schema=False) for path in sorted((folder / "csv").glob("*/*/*.csv"))])
    for table in (parquet, csv):
        counted = Counter(zip(table["start"].cast(pl.String), table["service"], strict=True))
        assert set(counted.values()) == {1}
        assert len(counted) == len(expected.windows)
    for row in parquet.iter_rows(named=True):
        window = documents[document_id((round(row["start"].timestamp()) * SECOND, row["service"]))]["window"]
        for column in ("events", "errors", "error_rate", "users", "payments", "late"):
            assert row[column] == window[column]
    for column in ("events", "errors", "late"):
        assert csv[column].cast(pl.Int64).sum() == parquet[column].sum()
    assert parquet["late"].sum() == len(expected.late)


def assert_events(pipeline: Pipeline, expected: Truth) -> None:
    """The files have every event once: the late ones, and those of the hours that are finished."""
    folder = Path(pipeline.settings.windows_output)
    late = pl.concat([pl.read_parquet(path) for path in folder.glob("late/*/*/*.parquet")])
    assert Counter(late["event.id"]) == Counter(expected.late)
    files = sorted(folder.glob("events/*/*/*.parquet"))
    assert files
    finished = pl.concat([pl.read_parquet(path) for path in files])
    hours = {_hour(path) for path in files}
    assert hours == set(sorted(expected.in_time)[: len(hours)])
    assert Counter(finished["event.id"]) == Counter(name for hour in hours for name in expected.in_time[hour])


def _hour(path: Path) -> int:
    text = f"{path.parts[-3].removeprefix('date=')}T{path.parts[-2].removeprefix('hour=')}+00:00"
    return round(datetime.fromisoformat(text).timestamp()) * SECOND


def test_the_numbers_are_true_whatever_is_late_killed_or_silent(pipeline: Pipeline) -> None:
    pipeline.set_up()
    # Three hours ago, so that the traffic ends in another hour than it begins in.
    began = (time.time() // 3_600 - 3) * 3_600 + 1_800
    facts = send(pipeline, shop(SEED, EVENTS, began, SPAN))
    expected = truth(list(facts.values()), list(facts))
    assert len(expected.late) > EVENTS / 200

    job = start(pipeline)
    eventually(lambda: written(pipeline, job) > 0, seconds=SECONDS)
    job.kill()
    before = written_now(pipeline)
    assert before < len(expected.windows)

    job = start(pipeline)
    documents = wait_for_windows(pipeline, job, expected)
    assert_windows(pipeline, documents, expected)
    assert_events(pipeline, expected)
    port = pipeline.settings.metrics.windows
    assert metric(port, "logsluice_state_bytes", job="windows") > 0
    # Windows of late events alone were never finished ones.
    finished = sum(1 for numbers in expected.windows.values() if numbers["events"])
    # What is written is counted when its whole batch is.
    eventually(lambda: metric(port, "logsluice_windows_written_total", job="windows") >= finished - before, seconds=60)

    # What comes too late for a finished window is counted there, and changes nothing else.
    first = min(key for key, numbers in expected.windows.items() if numbers["events"])
    straggler = Sent(
        0, b'{"@timestamp":"%s","service":{"name":"auth"},"message":"slow"}' % _iso(first[0]), Fact(first[0], "auth")
    )
    facts |= send(pipeline, [straggler] * 3)
    expected = truth(list(facts.values()), list(facts))
    documents = wait_for_windows(pipeline, job, expected)
    assert_windows(pipeline, documents, expected)

    settings = pipeline.settings
    with closing(admin(settings, job="test")) as client:
        topic = describe_topic(client, settings.kafka.topic)

        def caught_up() -> bool:
            commits = committed_offsets(client, "logsluice-windows", topic)
            return {number: entry.offset for number, entry in commits.items()} == latest_offsets(client, topic)

        eventually(caught_up, seconds=SECONDS)
        client.delete_topics([settings.kafka.topic])
    eventually(lambda: not _exists(pipeline), seconds=SECONDS)
    pipeline.set_up()
    wait_for_output(job, "deleted and made again")
    again = (time.time() // 3_600 - 1) * 3_600
    line = b'{"@timestamp":"%s","service":{"name":"auth"},"message":"new"}' % _iso(round(again) * SECOND)
    send(pipeline, [Sent(1, line, Fact(None))])
    key = document_id((round(again) * SECOND, "auth"))
    eventually(lambda: key in pipeline.documents(settings.windows_index, ["window.late"]), seconds=SECONDS, every=1)
    ends_well(job)


def written_now(pipeline: Pipeline) -> int:
    return pipeline.count(pipeline.settings.windows_index)


def _iso(time: int) -> bytes:
    return datetime.fromtimestamp(time / SECOND, UTC).isoformat().encode()


def _exists(pipeline: Pipeline) -> bool:
    with closing(admin(pipeline.settings, job="test")) as client:
        return pipeline.settings.kafka.topic in client.list_topics()


def test_logs_of_six_systems_are_counted_as_duckdb_counts_them(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each set in a partition of its own; the oracle reads the lines."""
    monkeypatch.setenv("LOGSLUICE_KAFKA__PARTITIONS", str(len(SYSTEMS)))
    plan = pipeline.settings.kafka.model_copy(update={"partitions": len(SYSTEMS)})
    pipeline.settings = pipeline.settings.model_copy(update={"kafka": plan})
    pipeline.set_up()
    oracle = ReferenceExtractor(load_registry(None))
    sent: list[Sent] = []
    for number, name in enumerate(SYSTEMS):
        lines = [line.rstrip("\r\n").encode() for line in io.StringIO(log_file(name).read_text(errors="replace"))]
        seen = round(time.time() * 1000)
        batch = pa.record_batch([lines, [seen] * len(lines), *[[None] * len(lines)] * 2], schema=INPUT_SCHEMA)
        for line, row in zip(lines, oracle.extract(batch).to_pylist(), strict=True):
            stamp = row["@timestamp"]
            own = None if stamp is None else round(stamp.timestamp() * SECOND)
            fact = Fact(
                None if own == seen * 1000 else own,
                row["service.name"] or "unknown",
                row["log.level"],
                row["user.id"],
                row["event.duration"],
                readable=row["reason"] is None,
            )
            sent.append(Sent(number, line, fact))
    facts = send(pipeline, sent)
    expected = truth(list(facts.values()), list(facts))
    job = start(pipeline)
    documents = wait_for_windows(pipeline, job, expected)
    assert_windows(pipeline, documents, expected)
    ends_well(job)
