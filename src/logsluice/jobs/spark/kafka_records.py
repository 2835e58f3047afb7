"""Records of Spark's Kafka source: the columns that cross into Python, and the records made of them there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from logsluice.event.records import Records

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def record_columns(frame: DataFrame, *, keys: bool = True) -> DataFrame:
    """A frame of Spark's Kafka source, headers included, brought down to the columns that have to cross into Python.

    Args:
        keys: Whether the records' keys are wanted; null otherwise.
    """
    return frame.selectExpr(
        "partition",
        "offset",
        "unix_millis(timestamp) AS timestamp_ms",
        "value",
        "key" if keys else "CAST(NULL AS BINARY) AS key",
        # Null where there are none, so that the usual record costs nothing here.
        "IF(size(headers) > 0, headers, NULL) AS headers",
    )


def records_from_arrow(batch: pa.RecordBatch, topic: str) -> Records:
    """The columns of :func:`record_columns` as records."""
    headers = batch["headers"]
    return Records(
        topic=[topic] * batch.num_rows,
        partition=batch["partition"].to_pylist(),
        offset=batch["offset"].to_pylist(),
        timestamp_ms=batch["timestamp_ms"].to_pylist(),
        value=batch["value"].to_pylist(),
        key=batch["key"].to_pylist(),
        headers=_headers(headers) if headers.null_count < len(headers) else (),
    )


def _headers(column: pa.Array) -> list[list[tuple[str, bytes | None]] | None]:
    flat = pc.list_flatten(column)
    pairs = iter(list(zip(flat.field("key").to_pylist(), flat.field("value").to_pylist(), strict=True)))
    lengths = pc.list_value_length(column).to_pylist()
    return [None if length is None else [next(pairs) for _ in range(length)] for length in lengths]
