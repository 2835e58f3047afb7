"""`logsluice load` on a real API."""

from __future__ import annotations

import re
from pathlib import Path

from logsluice.settings import Settings
from tests.local.api_parts import Api, serving
from tests.local.kafka_reading import count
from tests.local.running import Runner


def numbers(text: str) -> list[float]:
    """The table's one row."""
    row = next(line for line in text.splitlines() if line.startswith("│"))
    return [float(number) for number in re.findall(r"[\d.]+", row)]


def test_what_the_table_says_is_in_the_topic(api: Api, settings: Settings, runner: Runner) -> None:
    done = runner.cli("load", api.url, "--rate", "40", "--seconds", "3", env={"COLUMNS": "160"})
    assert done.returncode == 0, done.stderr
    posts, failed, _, _, median, p95, p99, slowest = numbers(done.stdout)
    assert (posts > 0, failed) == (True, 0)
    assert 0 <= median <= p95 <= p99 <= slowest
    # Answers that came after the end are in the topic, but not in the table.
    first = count(settings)
    assert posts <= first <= posts + 20
    batches = runner.cli("load", api.url, "--rate", "400", "--batch", "50", "--seconds", "3", env={"COLUMNS": "160"})
    assert batches.returncode == 0, batches.stderr
    posts, failed, *_ = numbers(batches.stdout)
    assert failed == 0
    assert posts * 50 <= count(settings) - first <= (posts + 5) * 50


def test_what_refuses_is_said_in_one_line(api: Api, runner: Runner, tmp_path: Path) -> None:
    away = runner.cli("load", "http://127.0.0.1:9", "--seconds", "1", "--rate", "2")
    keys = tmp_path / "keys.yaml"
    assert runner.cli("api-key", "add", "x", "--file", keys).returncode == 0
    with serving(runner, LOGSLUICE_API__KEYS_FILE=str(keys)) as guarded:
        wrong = runner.cli("load", guarded.url, "--seconds", "1", "--rate", "2")
    for answer, word in ((away, "refused"), (wrong, "401")):
        assert answer.returncode == 1
        assert word in answer.stdout
        assert len(answer.stderr.strip().splitlines()) == 1
    assert api.client.get("/health/live").status_code == 200
