"""Documents put together column by column are those that one would write row by row."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from logsluice.extract import INPUT_SCHEMA, ColumnarExtractor, documents, load_registry
from logsluice.extract.schema import LABELS, REASON, output_schema

REGISTRY = load_registry()
SCHEMA = output_schema(REGISTRY.fields | {"labels.order_id": "keyword", "labels.place.shelf": "keyword"})
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXTS,
    "int64": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "timestamp[us, tz=UTC]": INSTANTS,
    "list<item: string>": st.lists(TEXTS, max_size=3),
}
CELLS = {field.name: VALUES[str(field.type)] for field in SCHEMA} | {
    LABELS: st.dictionaries(st.sampled_from(["order_id", "a.b", 'x"y']), TEXTS, min_size=1).map(
        lambda labels: orjson.dumps(labels).decode()
    ),
    REASON: st.just("empty"),
}
ROWS = st.lists(
    st.dictionaries(st.sampled_from(sorted(CELLS)), st.none(), max_size=8).flatmap(
        lambda names: st.fixed_dictionaries({name: CELLS[name] for name in names})
    ),
    min_size=1,
    max_size=6,
)


def in_json(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    digits = "milliseconds" if value.microsecond % 1000 == 0 else "microseconds"
    return value.isoformat(timespec=digits).replace("+00:00", "Z")


def by_hand(row: dict[str, Any]) -> dict[str, Any] | None:
    if row.get(REASON) is not None:
        return None
    document: dict[str, Any] = {}
    if row.get(LABELS) is not None:
        document[LABELS] = orjson.loads(row[LABELS])
    for name, value in row.items():
        if name in (LABELS, REASON) or value is None:
            continue
        *parents, leaf = name.split(".")
        target = document
        for parent in parents:
            target = target.setdefault(parent, {})
        target[leaf] = in_json(value)
    return document


def rendered(rows: list[dict[str, Any]], **extra: Any) -> list[dict[str, Any] | None]:
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    return [None if document is None else orjson.loads(document) for document in documents(batch, extra)]


@given(ROWS)
def test_documents_are_those_written_by_hand(rows: list[dict[str, Any]]) -> None:
    assert rendered(rows) == [by_hand(row) for row in rows]


@given(ROWS, ROWS)
def test_a_document_does_not_depend_on_its_neighbours(rows: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
    alone = documents(pa.RecordBatch.from_pylist(rows, schema=SCHEMA))
    among = documents(pa.RecordBatch.from_pylist(others + rows, schema=SCHEMA))
    assert among[len(others) :] == alone


def test_further_columns_win_where_they_have_a_value() -> None:
    rows = [{"event.original": "x", "log.file.path": "inside"}] * 2
    found = rendered(rows, **{"log.file.path": [None, "outside"], "kafka.partition": [3, 3]})
    assert [row and row["log"]["file"]["path"] for row in found] == ["inside", "outside"]
    assert [row and row["kafka"] for row in found] == [{"partition": 3}] * 2
    found = rendered(rows, **{"log.file.path": [None, None]})
    assert [row and row["log"]["file"]["path"] for row in found] == ["inside"] * 2


def test_documents_leave_out_what_is_not_there() -> None:
    line = b'{"@timestamp":"2026-01-02T03:04:05Z","message":"hi"}'
    columns = [[line, b""], [1_795_000_000_000] * 2, [None, None], [None, None]]
    batch = pa.record_batch(
        [pa.array(column, field.type) for column, field in zip(columns, INPUT_SCHEMA, strict=True)], schema=INPUT_SCHEMA
    )
    first, second = documents(ColumnarExtractor(REGISTRY).extract(batch), {"kafka.partition": [3, 3]})
    assert first == (
        b'{"@timestamp":"2026-01-02T03:04:05.000Z","message":"hi","event":{"dataset":"json",'
        b'"original":"{\\"@timestamp\\":\\"2026-01-02T03:04:05Z\\",\\"message\\":\\"hi\\"}"},"kafka":{"partition":3}}'
    )
    assert second is None
