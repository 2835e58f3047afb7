"""From extracted columns to nested ECS documents, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from logsluice.extract.schema import LABELS, REASON


def documents(
    extracted: pa.RecordBatch, extra: Mapping[str, Sequence[Any]] | None = None
) -> list[bytes | None]:
    """Render each row as a JSON object; fields without a value are left out.

    Args:
        extracted: What an extractor returned.
        extra: Further columns by dotted field name, aligned with the batch.

    Returns:
        A document a row, None where the row has a reason not to be read.
    """
    rows: list[dict[str, Any]] = [{} for _ in range(extracted.num_rows)]
    labels: Sequence[str | None] = ()
    for name, column in zip(extracted.schema.names, extracted.columns, strict=True):
        if name == REASON or column.null_count == len(column):
            continue
        if name == LABELS:
            labels = column.to_pylist()
        else:
            _put(rows, name, _as_json(column))
    for name, values in (extra or {}).items():
        _put(rows, name, values)
    for row, text in zip(rows, labels, strict=False):
        if text is not None:
            row["labels"] = {**orjson.loads(text), **row.get("labels", {})}
    readable = pc.is_null(extracted[REASON]).to_pylist()
    return [orjson.dumps(row) if fine else None for row, fine in zip(rows, readable, strict=True)]


def _put(rows: list[dict[str, Any]], name: str, values: Sequence[Any]) -> None:
    *parents, leaf = name.split(".") if name != "@timestamp" else [name]
    if not parents:
        for row, value in zip(rows, values, strict=True):
            if value is not None:
                row[leaf] = value
        return
    outer, *inner = parents
    for row, value in zip(rows, values, strict=True):
        if value is None:
            continue
        target = row.get(outer)
        if target is None:
            target = row[outer] = {}
        for parent in inner:
            target = target.setdefault(parent, {})
        target[leaf] = value


def _as_json(column: pa.Array) -> list[Any]:
    if pt.is_timestamp(column.type):
        return format_instants(pl.Series(column.cast(pa.int64()))).to_list()
    if pt.is_list(column.type):
        return [value or None for value in column.to_pylist()]
    values: list[Any] = column.to_pylist()
    return values


def format_instants(micros: pl.Series) -> pl.Series:
    """Microseconds since the epoch as ISO 8601 in UTC, with three or six digits of a second."""
    text = micros.cast(pl.Datetime("us")).dt.strftime("%Y-%m-%dT%H:%M:%S%.6f")
    return text.str.strip_suffix("000") + "Z"
