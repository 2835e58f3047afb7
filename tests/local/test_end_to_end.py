"""Real logs all the way: files into Kafka, through both consumers, into Elasticsearch, and found there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import orjson
import pytest
from elasticsearch import Elasticsearch
from pipeline import Pipeline, assert_no_stack_trace, ends_well
from running import Runner
from shared_folder import LOGHUB

from logsluice.settings import Settings

SETS = ("Apache", "BGL", "HDFS", "OpenSSH", "Spark", "Zookeeper")

pytestmark = pytest.mark.timeout(1_200)


@pytest.fixture
def files() -> list[Path]:
    files = [LOGHUB / f"{name}_2k.log" for name in SETS]
    if missing := [file for file in files if not file.is_file()]:
        pytest.skip(f"the loghub sets are not on this machine: {missing[0]}")
    return files


@pytest.fixture
def pipeline(settings: Settings, elasticsearch_client: Elasticsearch, runner: Runner) -> Pipeline:
    return Pipeline(settings, elasticsearch_client, runner)


def test_every_line_of_real_logs_is_in_both_indices_and_can_be_found(pipeline: Pipeline, files: list[Path]) -> None:
    lines = [line.removesuffix("\r") for file in files for line in file.read_text().split("\n") if line.strip()]
    assert len(lines) == 2_000 * len(SETS)
    jobs = [pipeline.index_job(), pipeline.regex_job()]
    done = pipeline.runner.cli("setup")
    assert done.returncode == 0, done.stderr
    done = pipeline.runner.cli("ship", *files)
    assert done.returncode == 0, done.stderr
    assert f"shipped {len(files)} files, {len(lines):,} lines (0 blank), {len(lines):,} events" in done.stderr
    assert_no_stack_trace(done.stderr)
    pipeline.wait_for(len(lines), len(lines), jobs)
    ends_well(*jobs)

    assert Counter(stored.value.decode() for stored in pipeline.stored() if stored.value) == Counter(lines)
    ids = {stored.id for stored in pipeline.stored()}
    for alias in (pipeline.settings.logs_index, pipeline.settings.results_index):
        documents = pipeline.documents(alias, ["event.original"])
        assert documents.keys() == ids
        assert Counter(document["event"]["original"] for document in documents.values()) == Counter(lines)
    assert pipeline.letters() == {}

    known = "Failed password for invalid user webmaster from 173.234.31.186 port 38926 ssh2"
    assert sum(known in line for line in lines) == 1
    found = pipeline.runner.cli("search", "--json", "webmaster AND source.ip:173.234.31.186 AND process.pid:24200")
    assert found.returncode == 0, found.stderr
    hits = [orjson.loads(line) for line in found.stdout.splitlines()]
    assert [hit["message"] for hit in hits if hit["message"] == known] == [known]
    assert {hit["host"]["name"] for hit in hits} == {"LabSZ"}
    table = pipeline.runner.cli("search", '"invalid user webmaster" AND "port 38926"', env={"COLUMNS": "200"})
    assert "173.234.31.186" in table.stdout
    assert table.stdout.splitlines()[-1].startswith("1 event")
