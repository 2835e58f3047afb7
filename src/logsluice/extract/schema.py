"""The columns that go into extraction and come out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl
import pyarrow as pa

from logsluice.event.ecs import FieldType
from logsluice.event.limits import ORIGINAL_LENGTH, ORIGINAL_SHA256
from logsluice.event.records import Header

INPUT_SCHEMA: Final = pa.schema(
    [
        pa.field("value", pa.binary()),
        pa.field("reference_ms", pa.int64(), nullable=False),
        pa.field("original_length", pa.int64()),
        pa.field("original_sha256", pa.string()),
    ]
)
"""``value``: the event as it came, null for a tombstone. ``reference_ms``: when it was seen (its Kafka timestamp or
the modification time of its file), milliseconds since the epoch. ``original_*``: length in bytes and SHA-256 in
hexadecimal of a line that was cut at the way in."""

ROW: Final = "row"
TEXT: Final = "text"
REFERENCE: Final = "reference_ms"
CUT_LINE: Final = "cut"
"""The table of lines within extraction: the number in its batch, its text, when it was seen, whether it was cut."""

REASON: Final = "reason"
TAGS: Final = "tags"
FOUND: Final = "logsluice.patterns"
LABELS: Final = "labels"
RELATED: Final = "related.ip"

_ARROW: Final[dict[FieldType, pa.DataType]] = {
    "keyword": pa.string(),
    "text": pa.string(),
    "ip": pa.string(),
    "level": pa.string(),
    "long": pa.int64(),
    "duration": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.timestamp("us", tz="UTC"),
}
_POLARS: Final[dict[FieldType, pl.DataType]] = {
    "keyword": pl.String(),
    "text": pl.String(),
    "ip": pl.String(),
    "level": pl.String(),
    "long": pl.Int64(),
    "duration": pl.Int64(),
    "double": pl.Float64(),
    "boolean": pl.Boolean(),
    "date": pl.Int64(),
}


def output_schema(fields: dict[str, FieldType]) -> pa.Schema:
    """Columns of the extracted table, one row a line.

    ``reason`` (null where the line could be read), ``tags`` (remarks on its input), ``logsluice.patterns`` (names
    of the patterns found), ``labels`` (a JSON object of strings: what no field holds), ``related.ip`` (every address of
    the fields and the message, once), what was kept of the original, and a column a field. Durations are nanoseconds.
    """
    own = [
        pa.field(REASON, pa.string()),
        pa.field(TAGS, pa.list_(pa.string())),
        pa.field(FOUND, pa.list_(pa.string())),
        pa.field(LABELS, pa.string()),
        pa.field(RELATED, pa.list_(pa.string())),
        pa.field("event.original", pa.string()),
        pa.field("logsluice.original_bytes", pa.string()),
        pa.field("logsluice.original_length", pa.int64()),
    ]
    return pa.schema([*own, *(pa.field(name, _ARROW[kind]) for name, kind in sorted(fields.items()))])


def polars_type(kind: FieldType) -> pl.DataType:
    """The type of a field's column inside the engine; dates are microseconds since the epoch."""
    return _POLARS[kind]


def input_columns(
    values: Sequence[bytes | None], timestamps_ms: Sequence[int], headers: Mapping[int, Sequence[Header]] | None = None
) -> pa.RecordBatch:
    """Values and their times as :data:`INPUT_SCHEMA` has them, with what headers tell of those that were cut.

    Args:
        timestamps_ms: From which a year that a line lacks is found, milliseconds since the epoch.
        headers: Of the events that have any, by their places.
    """
    lengths: list[int | None] = [None] * len(values)
    digests: list[str | None] = [None] * len(values)
    for row, entries in (headers or {}).items():
        for name, content in entries:
            if content is None:
                continue
            if name == ORIGINAL_LENGTH and content.isdigit():
                lengths[row] = int(content)
            elif name == ORIGINAL_SHA256:
                digests[row] = content.decode("ascii", "replace")
    return pa.record_batch([values, timestamps_ms, lengths, digests], schema=INPUT_SCHEMA)
