"""`logsluice dlq list|replay` on real dead letters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from logsluice.event.ecs import FIELDS
from logsluice.event.identity import EventId
from logsluice.kafka.dead_letters import DeadLetter, DeadLetterWriter
from logsluice.provision.setup import run_setup
from logsluice.settings import Settings
from tests.local.running import Runner

NOON = 1_795_348_800_000  # 2026-11-22T12:00:00Z


def letter(consumer: str, number: int, value: bytes | None, reason: str, detail: str = "") -> DeadLetter:
    return DeadLetter(consumer, EventId("logs-topic", 0, number, NOON), reason, detail, value, b"key")


LETTERS = [
    letter("regex", 1, b"2026-11-22 11:59:00 ERROR payment failed user_id=77 from 10.1.2.3", "regex_timeout"),
    letter("regex", 2, b'{"broken": ', "invalid_json"),
    letter("index", 3, b"a line that was refused once", "rejected", "mapper_parsing_exception: \x1b[31mred"),
    letter("index", 4, None, "tombstone"),
]


@pytest.fixture
def letters(settings: Settings) -> Settings:
    run_setup(settings, FIELDS)
    writer = DeadLetterWriter(settings, job="test")
    writer.write(LETTERS)
    writer.write(LETTERS[:1])
    writer.close()
    return settings


def listed(runner: Runner, *arguments: str) -> list[dict[str, object]]:
    answer = runner.cli("dlq", "list", "--json", *arguments)
    assert answer.returncode == 0, answer.stderr
    return [json.loads(line) for line in answer.stdout.splitlines()]


@pytest.mark.usefixtures("letters")
def test_letters_are_listed_once_each_the_newest_first(runner: Runner) -> None:
    found = listed(runner)
    assert [entry["event_id"] for entry in found] == [f"logs-topic-0-{number}-{NOON}" for number in (1, 4, 3, 2)]
    assert found[0]["value"] == "2026-11-22 11:59:00 ERROR payment failed user_id=77 from 10.1.2.3"
    assert (found[1]["value"], found[1]["bytes"]) == (None, 0)
    assert [entry["reason"] for entry in listed(runner, "--consumer", "index")] == ["tombstone", "rejected"]
    assert [entry["reason"] for entry in listed(runner, "--reason", "invalid_json")] == ["invalid_json"]
    assert len(listed(runner, "--limit", "2")) == 2


@pytest.mark.usefixtures("letters")
def test_the_table_says_what_and_why_and_obeys_no_log(runner: Runner) -> None:
    shown = runner.cli("dlq", "list", env={"COLUMNS": "200"}).stdout
    for part in ("rejected", "mapper_parsing_exception: \\x1b[31mred", '{"broken":', f"logs-topic-0-4-{NOON}"):
        assert part in shown
    assert "4 dead letters" in shown
    assert "\x1b" not in shown


def test_what_can_be_written_now_is_written_under_its_own_id_and_the_rest_stays(
    letters: Settings, runner: Runner, elasticsearch_client: Elasticsearch
) -> None:
    writer = DeadLetterWriter(letters, job="test")
    writer.write([letter("index", 5, b'{"event":{"kind":"metric"},"message":"load"}', "rejected")])
    writer.close()
    answer = runner.cli("dlq", "replay")
    assert answer.returncode == 0, answer.stderr
    assert "3 replayed, 2 failed again and stay" in answer.stdout
    assert f"regex/logs-topic-0-2-{NOON}: invalid_json" in answer.stdout
    facts = elasticsearch_client.get(index="dev-results-index-2026.11.22", id=f"logs-topic-0-1-{NOON}")["_source"]
    assert (facts["log"]["level"], facts["user"]["id"]) == ("error", "77")
    assert facts["@timestamp"] == "2026-11-22T11:59:00.000Z"
    raw = elasticsearch_client.get(index="dev-logs-index-2026.11.22", id=f"logs-topic-0-3-{NOON}")["_source"]
    assert raw["message"] == "a line that was refused once"
    measured = elasticsearch_client.get(index="dev-metrics-index-2026.11.22", id=f"logs-topic-0-5-{NOON}")["_source"]
    assert measured["message"] == "load"
    assert [entry["reason"] for entry in listed(runner)] == ["tombstone", "invalid_json"]
    again = runner.cli("dlq", "replay", "--reason", "rejected")
    assert "No dead letters to replay." in again.stdout


def test_what_fails_after_a_replay_is_listed_again(letters: Settings, runner: Runner) -> None:
    runner.cli("dlq", "replay", "--id", f"logs-topic-0-3-{NOON}")
    assert "rejected" not in {entry["reason"] for entry in listed(runner)}
    writer = DeadLetterWriter(letters, job="test")
    writer.write([LETTERS[2]])
    writer.close()
    assert listed(runner)[0]["reason"] == "rejected"


@pytest.mark.usefixtures("letters")
def test_a_registry_that_has_learned_is_used(
    runner: Runner, elasticsearch_client: Elasticsearch, tmp_path: Path
) -> None:
    (tmp_path / "settings.yaml").write_text("env: dev\n")
    (tmp_path / "patterns.yaml").write_text(
        """
revision: 5
patterns:
  - name: shop_payment
    description: What became of a payment
    regex: 'payment (?P<outcome>failed|accepted)'
    fields: {outcome: labels.payment}
    examples: [{message: 'payment failed', fields: {labels.payment: failed}}]
    counterexamples: ['no payments']
"""
    )
    answer = runner.cli("dlq", "replay", "--consumer", "regex", "--config", tmp_path)
    assert "1 replayed, 1 failed again and stay" in answer.stdout, answer.stderr
    stored = elasticsearch_client.get(index="dev-results-index-2026.11.22", id=f"logs-topic-0-1-{NOON}")
    assert stored["_version"] == 5
    assert stored["_source"]["labels"]["payment"] == "failed"


@pytest.mark.usefixtures("settings")
def test_without_a_topic_or_a_broker_one_line_says_so(runner: Runner) -> None:
    missing = runner.cli("dlq", "list")
    away = runner.cli("dlq", "list", env={"LOGSLUICE_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9"})
    for answer, part in ((missing, "logsluice setup"), (away, "Kafka does not answer")):
        assert answer.returncode == 1
        assert part in answer.stderr
        assert "Traceback" not in answer.stderr
        assert len(answer.stderr.strip().splitlines()) == 1
