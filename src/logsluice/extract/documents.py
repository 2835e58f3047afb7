"""From extracted columns to nested ECS documents, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
import polars as pl
import pyarrow as pa

from logsluice.extract.schema import LABELS, REASON

_SLICE = 2_000
"""Rows rendered at once: their dictionaries take far more memory than the columns, and stay in the caches."""


def documents(extracted: pa.RecordBatch, extra: Mapping[str, Sequence[Any]] | None = None) -> list[bytes | None]:
    """Render each row as a JSON object; fields without a value are left out.

    Args:
        extracted: What an extractor returned.
        extra: Further columns by dotted field name, aligned with the batch.

    Returns:
        A document a row, None where the row has a reason not to be read.
    """
    frame = pl.DataFrame(pl.from_arrow(extracted))
    further = pl.DataFrame([pl.Series(name, values) for name, values in (extra or {}).items()])
    return [
        document
        for start in range(0, frame.height, _SLICE)
        for document in _rendered(frame.slice(start, _SLICE), further.slice(start, _SLICE))
    ]


def _rendered(frame: pl.DataFrame, further: pl.DataFrame) -> list[bytes | None]:
    rows: list[dict[str, Any]] = [{} for _ in range(frame.height)]
    for column in [*frame.drop(REASON, LABELS), *further]:
        if column.null_count() < frame.height:
            _put(rows, column)
    for row, text in zip(rows, frame[LABELS].to_list(), strict=True):
        if text is not None:
            row["labels"] = {**orjson.loads(text), **row.get("labels", {})}
    readable = frame[REASON].is_null().to_list()
    return [orjson.dumps(row) if fine else None for row, fine in zip(rows, readable, strict=True)]


def _put(rows: list[dict[str, Any]], column: pl.Series) -> None:
    """Set a field of every row that has it."""
    if column.dtype == pl.Datetime:
        column = format_instants(column.cast(pl.Int64)).rename(column.name)
    present: Iterable[dict[str, Any]] = rows
    if column.null_count():
        present = map(rows.__getitem__, column.is_not_null().arg_true().to_list())
        column = column.drop_nulls()
    *parents, leaf = column.name.split(".")
    if not parents:
        for row, value in zip(present, column.to_list(), strict=True):
            row[leaf] = value
        return
    outer, *inner = parents
    for row, value in zip(present, column.to_list(), strict=True):
        target = row.get(outer)
        if target is None:
            target = row[outer] = {}
        for parent in inner:
            target = target.setdefault(parent, {})
        target[leaf] = value


def format_instants(micros: pl.Series) -> pl.Series:
    """Microseconds since the epoch as ISO 8601 in UTC, with three or six digits of a second."""
    text = micros.cast(pl.Datetime("us")).dt.strftime("%Y-%m-%dT%H:%M:%S%.6f")
    return text.str.strip_suffix("000") + "Z"
