"""`logsluice search` on a real Elasticsearch."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from elasticsearch import Elasticsearch

from logsluice.documents.extraction_input import extraction_input
from logsluice.documents.result import result_documents
from logsluice.elasticsearch.bulk import BulkOutcome, BulkWriter
from logsluice.event.records import Records
from logsluice.extract import ColumnarExtractor, load_registry
from logsluice.provision.setup import set_up_elasticsearch
from logsluice.settings import Settings
from tests.local.running import Runner


def line(minutes_ago: int, rest: str) -> bytes:
    return f"{datetime.now(UTC) - timedelta(minutes=minutes_ago):%Y-%m-%dT%H:%M:%S.000Z} {rest}".encode()


@pytest.fixture
def events(settings: Settings, elasticsearch_client: Elasticsearch) -> None:
    registry = load_registry()
    set_up_elasticsearch(settings, registry.fields)
    values = [
        line(1, "ERROR payment failed user_id=77 from 10.1.2.3"),
        line(5, "INFO payment accepted user_id=78"),
        line(200, "WARN payment slow user_id=79 \x07\x1b(0"),
        line(2, "ERROR " + "x" * 400_000 + " login refused"),
    ]
    size = len(values)
    now = int(time.time() * 1000)
    records = Records(["logs"] * size, [0] * size, list(range(size)), [now] * size, values)
    extracted = ColumnarExtractor(registry).extract(extraction_input(records))
    actions, letters = result_documents(records, extracted, registry.revision, settings.results_index)
    assert letters == []
    writer = BulkWriter(settings.elasticsearch, job="test")
    assert writer.write(actions) == BulkOutcome(size)
    writer.close()
    elasticsearch_client.indices.refresh(index=settings.results_index)


def users(runner: Runner, *arguments: str) -> list[str]:
    answer = runner.cli("search", "--json", *arguments)
    assert answer.returncode == 0, answer.stderr
    return [json.loads(line)["user"]["id"] for line in answer.stdout.splitlines()]


@pytest.mark.usefixtures("events")
def test_the_newest_come_first_and_words_fields_times_and_levels_narrow_it(runner: Runner) -> None:
    assert users(runner, "payment") == ["77", "78", "79"]
    assert users(runner, "payment accepted") == ["78"]
    assert users(runner, "user.id:79") == ["79"]
    assert users(runner, "payment", "--since", "1h") == ["77", "78"]
    assert users(runner, "payment", "--level", "warn") == ["77", "79"]
    assert users(runner, "payment", "--size", "1") == ["77"]


@pytest.mark.usefixtures("events")
def test_the_table_shows_what_was_found_and_obeys_no_log(runner: Runner) -> None:
    shown = runner.cli("search", "payment", env={"COLUMNS": "220"}).stdout
    for part in ("error", "payment failed", "user.id=77", "source.ip=10.1.2.3", "\\x07\\x1b(0", "3 events"):
        assert part in shown
    assert "\x1b" not in shown


@pytest.mark.usefixtures("events")
def test_an_enormous_message_is_found_and_shown_in_part(runner: Runner) -> None:
    answer = runner.cli("search", "log.level:error AND NOT payment", env={"COLUMNS": "100"})
    assert answer.returncode == 0, answer.stderr
    assert "1 event" in answer.stdout
    assert len(answer.stdout) < 5_000


@pytest.mark.usefixtures("events")
def test_old_events_are_pointed_to_where_since_leaves_nothing(runner: Runner) -> None:
    answer = runner.cli("search", "slow", "--since", "15m")
    assert answer.stdout.strip() == ("Nothing in the last 15m, but 1 event before: leave --since out to see them.")
    assert runner.cli("search", "nowhere").stdout.strip() == "Nothing found."


@pytest.mark.usefixtures("events")
def test_a_query_that_cannot_be_read_is_one_line(runner: Runner) -> None:
    for arguments in (["payment AND ("], ["payment", "--since", "soon"], ["payment", "--level", "loud"]):
        answer = runner.cli("search", *arguments)
        assert answer.returncode == 1
        assert arguments[-1] in answer.stderr
        assert len(answer.stderr.strip().splitlines()) == 1


@pytest.mark.usefixtures("settings")
def test_without_an_index_or_a_server_one_line_says_so(runner: Runner) -> None:
    missing = runner.cli("search", "x")
    away = runner.cli("search", "x", env={"LOGSLUICE_ELASTICSEARCH__HOSTS": "http://127.0.0.1:9"})
    for answer, part in ((missing, "logsluice setup"), (away, "Connection refused")):
        assert answer.returncode == 1
        assert part in answer.stderr
        assert len(answer.stderr.strip().splitlines()) == 1
