"""Logs of many products in the shared folder, against what parsers made for each of them find."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.shared.shared_folder import CASES, FACTS, TOOLS

pytestmark = pytest.mark.facts

MEAN = 0.975
LOGS_ALL_RIGHT = 88
FIELDS = {
    "user.name": 0.97,
    "source.ip": 0.98,
    "url.path": 0.98,
    "http.response.status_code": 0.99,
    "http.request.method": 0.99,
    "user_agent.original": 0.99,
    "@timestamp": 0.97,
}
CASES_RIGHT = 72
"""Floors: what has been reached once."""

MOST_CONTRADICTIONS = 0.01
SAME = {
    "source.ip": ("source.ip", "client.ip", "source.address", "client.address"),
    "user.name": ("user.name", "user.id", "user.email", "source.user.name"),
    "@timestamp": ("@timestamp",),
}
YEAR = re.compile(r"(?:19|20)\d\d|\b\d\d[-/]\w+[-/]\d\d\b|\d{10}")


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return extracted(FACTS, tmp_path_factory.mktemp("facts"))


def extracted(folder: Path, into: Path) -> Path:
    """The records of a folder's logs, with no configuration."""
    out = into / "records.jsonl"
    command = [sys.executable, "-c", "from logsluice.cli.main import main; main()", "extract", "--join"]
    subprocess.run([*command, *sorted(folder.glob("*.log")), "--out", out], check=True, capture_output=True)
    return out


def scored(tool: str, folder: Path, records: Path) -> str:
    return subprocess.run([TOOLS / tool, folder, records], check=True, capture_output=True, text=True).stdout


def test_facts_of_other_parsers_are_found(facts: Path) -> None:
    scores = scored("score-facts", FACTS, facts)
    print(scores)
    reached = {name: float(part) for name, part in re.findall(r"^([@\w.]+): ([\d.]+) of", scores, re.MULTILINE)}
    assert {name: part for name, part in reached.items() if part < FIELDS[name]} == {}
    assert int(re.findall(r"(\d+) of \d+ logs all right", scores)[0]) >= LOGS_ALL_RIGHT
    assert float(re.findall(r"headline: ([\d.]+)", scores)[0]) >= MEAN


def test_cases_of_faults_are_right(tmp_path: Path) -> None:
    scores = scored("score-cases", CASES, extracted(CASES, tmp_path))
    print(scores)
    assert int(re.findall(r"(\d+) of \d+ cases right", scores)[0]) >= CASES_RIGHT


def test_what_is_found_contradicts_nothing(facts: Path) -> None:
    """A value that is there and differs is worse than one that is missing."""
    events: dict[str, dict[str, dict[str, Any]]] = {}
    for text in facts.read_text(encoding="utf-8").splitlines():
        event = dict(flat(json.loads(text)))
        events.setdefault(Path(event["log.file.path"]).name, {}).setdefault(event["event.original"].strip(), event)
    found, wrong = Counter[str](), []
    for text in (FACTS / "truth.jsonl").read_text(encoding="utf-8").splitlines():
        truth = json.loads(text)
        event = events[truth["log"]].get(truth["line"].strip(), {})
        for field, names in SAME.items():
            values = [str(event[name]) for name in names if event.get(name) not in (None, "")]
            if field == "@timestamp" and "timestamp_missing" in event.get("tags", ()):
                continue
            if field in truth["expected"] and values:
                found[field] += 1
                want = truth["expected"][field]
                if not (same_moment(values[0], want, truth["line"]) if field == "@timestamp" else want in values):
                    wrong.append(f"{truth['log']} {field}: expected {want!r}, got {values} in {truth['line']}")
    print(*wrong, f"{len(wrong)} contradictions of {found.total()} values", sep="\n")
    assert len(wrong) <= MOST_CONTRADICTIONS * found.total()


def same_moment(ours: str, theirs: str, line: str) -> bool:
    """To the second, and without the year where the line has none."""
    ours_at, theirs_at = (
        moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        for moment in map(datetime.fromisoformat, (ours, theirs))
    )
    if not YEAR.search(line):
        theirs_at = theirs_at.replace(year=ours_at.year)
    return abs((ours_at - theirs_at).total_seconds()) < 1.001


def flat(record: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in record.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
