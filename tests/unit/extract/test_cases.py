"""What is read from lines of many kinds, a file of cases a subject; both engines answer alike.

A case: ``kind`` (what it shows), ``lines`` (one event), ``expected`` (values by field; ``@timestamp`` as a moment, null
for one that was made up), ``absent`` (fields that it must not have), ``tags`` (all of them, where given).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from logsluice.extract import INPUT_SCHEMA, ColumnarExtractor, load_registry
from tests.oracles.reference_extractor import ReferenceExtractor

CASES = [
    pytest.param(case, id=f"{path.stem}: {case['kind']}")
    for path in sorted((Path(__file__).parent / "cases").glob("*.yaml"))
    for case in yaml.safe_load(path.read_text())
]
SEEN = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
REGISTRY = load_registry()
FAST, PLAIN = ColumnarExtractor(REGISTRY), ReferenceExtractor(REGISTRY)


def batch(line: str) -> pa.RecordBatch:
    seen_ms = (SEEN - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    row = {"value": line.encode(), "reference_ms": seen_ms, "original_length": None, "original_sha256": None}
    return pa.RecordBatch.from_pylist([row], INPUT_SCHEMA)


def moment(text: str) -> datetime:
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


@pytest.mark.parametrize("case", CASES)
def test_a_line_gives_what_is_in_it_and_nothing_else(case: dict[str, Any]) -> None:
    events = batch("\n".join(case["lines"]))
    found = FAST.extract(events).to_pylist()[0]
    assert found == PLAIN.extract(events).to_pylist()[0]
    tags = found["tags"] or []
    for field, expected in case.get("expected", {}).items():
        if field == "@timestamp":
            actual = None if "timestamp_missing" in tags else found[field]
            assert actual == (None if expected is None else moment(expected))
        else:
            assert found.get(field) == expected, field
    assert not [field for field in case.get("absent", []) if found.get(field) is not None]
    assert tags == case.get("tags", tags)
