"""Formats that are taken away are learned again from the logs that have them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from logsluice.extract import INPUT_SCHEMA, ColumnarExtractor, Registry, load_registry
from logsluice.extract.file_prior import LAST_RESORTS
from logsluice.formats.model import FormatEntry, build_format
from logsluice.learning import learn
from logsluice.learning.headers import NO_NAMES
from tests.shared.log_sets import SYSTEMS, log_file
from tests.shared.shared_folder import FACTS

SEEN_MS = 1_796_000_000_000
COMPARED = ("@timestamp", "log.level", "message")
LEAST = 0.9
"""Of the lines are read as by the shipped formats: to the second, with the same level and message."""

LOGS = [log_file(name) for name in SYSTEMS]
LONGEST_OF_OTHERS = 4


def longest_others(registry: Registry) -> list[Path]:
    """The longest logs of the shared folder that have no keys."""
    kinds = {entry.name: entry.kind for entry in registry.formats}
    found: list[Path] = []
    for path in sorted(FACTS.glob("*.log"), key=lambda path: -len(lines_of(path))):
        datasets = Counter(extracted(lines_of(path), registry)["event.dataset"].to_pylist())
        if kinds.get(datasets.most_common(1)[0][0]) == "regex":
            found.append(path)
        if len(found) == LONGEST_OF_OTHERS:
            break
    return found


def lines_of(path: Path) -> list[bytes]:
    return [line for line in path.read_bytes().splitlines() if line.strip()]


def extracted(lines: list[bytes], registry: Registry) -> pa.RecordBatch:
    count = len(lines)
    columns = [pa.array(lines, pa.binary()), pa.array([SEEN_MS] * count, pa.int64())]
    nothing = [pa.nulls(count, pa.int64()), pa.nulls(count, pa.string())]
    return ColumnarExtractor(registry).extract(pa.RecordBatch.from_arrays([*columns, *nothing], schema=INPUT_SCHEMA))


def without(names: set[str], registry: Registry) -> Registry:
    return replace(registry, formats=tuple(entry for entry in registry.formats if entry.name not in names))


def with_nothing_but_the_last_resorts(lines: list[bytes], registry: Registry) -> Registry:
    """A registry that lacks every format of the lines, and those that would take their place."""
    taking = set(extracted(lines, registry)["event.dataset"].to_pylist()) - {None, "plain"}
    while taking:
        registry = without(taking, registry)
        datasets = set(extracted(lines, registry)["event.dataset"].to_pylist()) - {None}
        taking = {name for name in datasets if not name.startswith(LAST_RESORTS)}
    return registry


def is_same(shipped: dict[str, Any], again: dict[str, Any]) -> bool:
    seconds = abs((shipped["@timestamp"] - again["@timestamp"]).total_seconds())
    return seconds < 1 and all(shipped[field] == again[field] for field in COMPARED[1:])


def share_learned(path: Path, registry: Registry) -> float:
    lines = lines_of(path)
    shipped = extracted(lines, registry).select(COMPARED).to_pylist()
    left = with_nothing_but_the_last_resorts(lines, registry)
    found = learn(lines, "learned", left, modified_ms=SEEN_MS)
    own = [
        build_format(FormatEntry.model_validate(proposal.entry), NO_NAMES)
        for proposal in found.entries
        if proposal.registry == "formats"
    ]
    again = extracted(lines, replace(left, formats=(*own, *left.formats))).select(COMPARED).to_pylist()
    return sum(map(is_same, shipped, again)) / len(lines)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


@pytest.mark.slow
@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_the_format_of_a_system_is_learned_again(path: Path, registry: Registry) -> None:
    assert share_learned(path, registry) >= LEAST


@pytest.mark.slow
@pytest.mark.facts
def test_the_formats_of_the_longest_other_logs_are_learned_again(registry: Registry) -> None:
    shares = {path.name: share_learned(path, registry) for path in longest_others(registry)}
    assert all(share >= LEAST for share in shares.values()), shares
