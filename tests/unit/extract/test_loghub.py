"""Logs of six systems against what people say is in them, through the public API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache

import pyarrow as pa
import pytest

from logsluice.extract import INPUT_SCHEMA, ColumnarExtractor, load_registry
from tests.oracles.reference_extractor import ReferenceExtractor
from tests.shared.log_sets import LINES_OF_EACH, labels, log_file

SEEN = datetime(2026, 11, 22, 10, tzinfo=UTC)
ENOUGH = 0.98

Row = dict[str, str]
EXTRACTORS: dict[str, type[ColumnarExtractor | ReferenceExtractor]] = {
    "columnar": ColumnarExtractor,
    "oracle": ReferenceExtractor,
}


def written(pattern: str, *columns: str) -> Callable[[Row], datetime]:
    """The instant that columns joined by spaces say, in UTC."""

    def instant(row: Row) -> datetime:
        return datetime.strptime(" ".join(row[column] for column in columns), pattern).replace(tzinfo=UTC)

    return instant


def without_year(row: Row) -> datetime:
    """A date before the day on which the file was seen: this year's, or last year's."""
    text = f"{row['Date']} {row['Day']} {row['Time']}"
    this_year = datetime.strptime(f"{SEEN.year} {text}", "%Y %b %d %H:%M:%S").replace(tzinfo=UTC)
    return this_year if this_year <= SEEN else this_year.replace(year=SEEN.year - 1)


def blue_gene(row: Row) -> datetime:
    """The column Time is the machine's local time, so the instant is Timestamp's, its fraction Time's."""
    micros = int(row["Time"].rsplit(".", 1)[1])
    return datetime.fromtimestamp(int(row["Timestamp"]), tz=UTC) + timedelta(microseconds=micros)


TIMES: dict[str, Callable[[Row], datetime]] = {
    "Apache": written("%a %b %d %H:%M:%S %Y", "Time"),
    "BGL": blue_gene,
    "HDFS": written("%y%m%d %H%M%S", "Date", "Time"),
    "OpenSSH": without_year,
    "Spark": written("%y/%m/%d %H:%M:%S", "Date", "Time"),
    "Zookeeper": written("%Y-%m-%d %H:%M:%S,%f", "Date", "Time"),
}
LEVELS = {
    "notice": "notice",
    "error": "error",
    "INFO": "info",
    "WARN": "warn",
    "WARNING": "warn",
    "ERROR": "error",
    "SEVERE": "error",
    "FAILURE": "error",
    "FATAL": "critical",
}


@cache
def found_in(name: str, extractor: str) -> tuple[Row, ...]:
    lines = log_file(name).read_bytes().splitlines()
    nothing = [None] * len(lines)
    seen_ms = [int(SEEN.timestamp() * 1000)] * len(lines)
    columns = [
        pa.array(values, field.type)
        for values, field in zip([lines, seen_ms, nothing, nothing], INPUT_SCHEMA, strict=True)
    ]
    batch = pa.RecordBatch.from_arrays(columns, schema=INPUT_SCHEMA)
    extracted = EXTRACTORS[extractor](load_registry(None)).extract(batch)
    return tuple(extracted.select(["@timestamp", "log.level", "message"]).to_pylist())


def misses(name: str, extractor: str, field: str, expected: Callable[[Row], object]) -> list[tuple[object, object]]:
    pairs = zip(labels(name), found_in(name, extractor), strict=True)
    wanted = [(expected(truth), found[field]) for truth, found in pairs]
    return [(want, got) for want, got in wanted if want != (got.strip() if isinstance(got, str) else got)]


def at_least_98_percent(name: str, wrong: list[tuple[object, object]]) -> None:
    total = len(labels(name))
    assert total == LINES_OF_EACH
    assert 1 - len(wrong) / total >= ENOUGH, f"{len(wrong)} of {total} wrong, such as {wrong[:3]}"


@pytest.mark.parametrize("extractor", EXTRACTORS)
@pytest.mark.parametrize("name", TIMES)
def test_timestamps(name: str, extractor: str) -> None:
    at_least_98_percent(name, misses(name, extractor, "@timestamp", TIMES[name]))


@pytest.mark.parametrize("extractor", EXTRACTORS)
@pytest.mark.parametrize("name", [name for name in TIMES if name != "OpenSSH"])
def test_levels(name: str, extractor: str) -> None:
    at_least_98_percent(name, misses(name, extractor, "log.level", lambda row: LEVELS[row["Level"]]))


@pytest.mark.parametrize("extractor", EXTRACTORS)
@pytest.mark.parametrize("name", TIMES)
def test_messages(name: str, extractor: str) -> None:
    at_least_98_percent(name, misses(name, extractor, "message", lambda row: row["Content"].strip()))
