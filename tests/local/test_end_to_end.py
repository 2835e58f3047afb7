"""Logs of six systems all the way: files into Kafka, through both consumers, into Elasticsearch, and found there."""

from __future__ import annotations

import re
from collections import Counter

import orjson
import pytest
from elasticsearch import Elasticsearch

from logsluice.settings import Settings
from tests.local.pipeline import Pipeline, assert_no_stack_trace, ends_well
from tests.local.running import Runner
from tests.shared.log_sets import LINES_OF_EACH, SYSTEMS, labels, log_file

pytestmark = pytest.mark.timeout(1_200)

FAILED = re.compile(r"Failed password for invalid user (\S+) from (\S+) port (\d+) ssh2")


@pytest.fixture
def pipeline(settings: Settings, elasticsearch_client: Elasticsearch, runner: Runner) -> Pipeline:
    return Pipeline(settings, elasticsearch_client, runner)


def test_every_line_is_in_both_indices_and_can_be_found(pipeline: Pipeline) -> None:
    files = [log_file(name) for name in SYSTEMS]
    lines = [line.removesuffix("\r") for file in files for line in file.read_text().split("\n") if line.strip()]
    assert len(lines) == LINES_OF_EACH * len(SYSTEMS)
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

    known = next(row for row in labels("OpenSSH") if FAILED.fullmatch(row["Content"]))
    found = FAILED.fullmatch(known["Content"])
    assert found
    user, address, port = found.groups()
    assert sum(known["Content"] in line for line in lines) == 1
    query = f"{user} AND source.ip:{address} AND process.pid:{known['Pid']}"
    searched = pipeline.runner.cli("search", "--json", query)
    assert searched.returncode == 0, searched.stderr
    hits = [orjson.loads(line) for line in searched.stdout.splitlines()]
    assert [hit["message"] for hit in hits if hit["message"] == known["Content"]] == [known["Content"]]
    assert {hit["host"]["name"] for hit in hits} == {known["Component"]}
    table = pipeline.runner.cli("search", f'"invalid user {user}" AND "port {port}"', env={"COLUMNS": "200"})
    assert address in table.stdout
    assert table.stdout.splitlines()[-1].startswith("1 event")
