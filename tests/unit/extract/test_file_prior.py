"""What most of a file's first lines are tells how the others are read, and of what nearly fits what is kept."""

from __future__ import annotations

import pyarrow as pa
import pytest

from logsluice.extract import INPUT_SCHEMA, ColumnarExtractor, Registry, dominant_format, load_registry, preferring

SEEN_MS = 1_795_342_453_000
LINES = [f"Nov 22 10:14:{second:02} web1 kiln[{second + 700}]: lit" for second in range(10)]


def batch(lines: list[str]) -> pa.RecordBatch:
    count = len(lines)
    columns = [pa.array([line.encode() for line in lines], pa.binary()), pa.array([SEEN_MS] * count, pa.int64())]
    nothing = [pa.nulls(count, pa.int64()), pa.nulls(count, pa.string())]
    return pa.RecordBatch.from_arrays([*columns, *nothing], schema=INPUT_SCHEMA)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


@pytest.fixture(scope="module")
def extractor(registry: Registry) -> ColumnarExtractor:
    return ColumnarExtractor(registry)


@pytest.fixture(scope="module")
def preferred(registry: Registry) -> ColumnarExtractor:
    return ColumnarExtractor(preferring(registry, "syslog"))


def test_most_of_the_first_lines_decide(extractor: ColumnarExtractor) -> None:
    assert dominant_format(extractor, batch([*LINES, "2026-11-22 10:14:13 INFO ready"])) == "syslog"


@pytest.mark.parametrize("lines", [LINES[:3], LINES[:5] + ["prose of its own"] * 6, ["prose of its own"] * 20])
def test_few_lines_or_no_majority_or_prose_decide_nothing(extractor: ColumnarExtractor, lines: list[str]) -> None:
    assert dominant_format(extractor, batch(lines)) is None


def test_lines_that_a_format_takes_are_read_as_before(
    extractor: ColumnarExtractor, preferred: ColumnarExtractor
) -> None:
    lines = [*LINES, '{"level":"info","msg":"ready"}', "2026-11-22 10:14:13,123 WARN [main] c.acme.Kiln - cold"]
    assert preferred.extract(batch(lines)).equals(extractor.extract(batch(lines)))


def test_of_a_line_with_one_odd_part_the_others_are_kept(preferred: ColumnarExtractor) -> None:
    (row,) = preferred.extract(batch(["Nov 22 10:14:13 web1/7?! kiln[712]: out of gas"])).to_pylist()
    assert row["event.dataset"] == "syslog"
    assert (row["process.pid"], row["message"]) == (712, "out of gas")
    assert row["host.name"] is None
    assert "partial" in row["tags"]


def test_a_line_without_the_parts_is_none_of_them(preferred: ColumnarExtractor) -> None:
    (row,) = preferred.extract(batch(["prose of its own"])).to_pylist()
    assert row["event.dataset"] in (None, "plain")
    assert "partial" not in (row["tags"] or [])
