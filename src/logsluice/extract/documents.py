"""From extracted columns to nested ECS documents, as JSON.

Texts are put together by Polars, a column at a time: a dictionary a row costs more than finding its facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

import orjson
import polars as pl
import pyarrow as pa

from logsluice.extract.schema import LABELS, REASON

_ESCAPED: Final = r"[\"\\\x00-\x1f]"
"""What JSON cannot have in a text as it is (RFC 8259, 7)."""

_SLICE = 4_000
"""Rows rendered at once, so that what is made on the way stays in the caches."""


class _Field(NamedTuple):
    """A column under what is left of its dotted name within an object."""

    path: tuple[str, ...]
    column: pl.Series


def documents(
    extracted: pa.RecordBatch, extra: Mapping[str, Sequence[Any] | pl.Series] | None = None
) -> list[bytes | None]:
    """Render each row as a JSON object; fields without a value are left out.

    Args:
        extracted: What an extractor returned.
        extra: Further columns by dotted field name, aligned with the batch. Their values win.

    Returns:
        A document a row, None where the row has a reason not to be read.
    """
    frame = pl.DataFrame(pl.from_arrow(extracted))
    for name, values in (extra or {}).items():
        column = pl.Series(name, values)
        known = name in frame.columns
        frame = frame.with_columns(column.zip_with(column.is_not_null(), frame[name]) if known else column)
    return [
        document
        for start in range(0, frame.height, _SLICE)
        for document in _rendered(frame.slice(start, _SLICE)).to_list()
    ]


def _rendered(frame: pl.DataFrame) -> pl.Series:
    fields = sorted(
        (
            _Field(tuple(column.name.split(".")), _plain(column))
            for column in frame.drop(REASON, LABELS)
            if column.null_count() < frame.height
        ),
        key=lambda field: field.path,
    )
    labels = frame[LABELS]
    if found := [_Field(path[1:], column) for path, column in fields if path[0] == LABELS]:
        labels = _merged(labels, _object(found))
    document = _object([field for field in fields if field.path[0] != LABELS], {LABELS: labels}).fill_null("{}")
    return document.cast(pl.Binary).zip_with(frame[REASON].is_null(), pl.Series([None], dtype=pl.Binary))


def _plain(column: pl.Series) -> pl.Series:
    """A column of what JSON has."""
    if column.dtype != pl.Datetime:
        return column
    return format_instants(column.dt.epoch("us")).rename(column.name)


def _object(fields: Iterable[_Field], ready: Mapping[str, pl.Series] | None = None) -> pl.Series:
    """Fields as JSON objects, null where none has a value.

    Args:
        fields: Of the object and of those within it, in the order of their paths.
        ready: Further members by name, as JSON.
    """
    members: list[pl.Expr] = []
    objects = dict(ready or {})
    for name, group in groupby(fields, key=lambda field: field.path[0]):
        first, *others = group
        if len(first.path) == 1:
            members.append(_member(first.column.rename(name)))
        else:
            objects[name] = _object(_Field(path[1:], column) for path, column in [first, *others])
    for name, text in objects.items():
        members.append(pl.concat_str(pl.lit(f"{orjson.dumps(name).decode()}:"), pl.lit(text)))
    content = pl.select(pl.concat_str(members, separator=",", ignore_nulls=True)).to_series()
    return pl.select(pl.when(content != "").then(pl.concat_str(pl.lit("{"), pl.lit(content), pl.lit("}")))).to_series()


def _member(column: pl.Series) -> pl.Expr:
    """A field with its name, as JSON; null where it has no value."""
    name = orjson.dumps(column.name).decode()
    if column.dtype == pl.Int64:
        return pl.concat_str(pl.lit(f"{name}:"), pl.lit(column.cast(pl.String)))
    if column.dtype == pl.String and not column.str.contains(_ESCAPED).any():
        return pl.concat_str(pl.lit(f'{name}:"'), pl.lit(column), pl.lit('"'))
    text = pl.struct([column]).struct.json_encode().str.strip_prefix("{").str.strip_suffix("}")
    return pl.when(column.is_not_null()).then(text) if column.null_count() else text


def _merged(labels: pl.Series, found: pl.Series) -> pl.Series:
    """Labels with those that patterns found, which win."""
    both = (labels.is_not_null() & found.is_not_null()).arg_true()
    merged = [
        orjson.dumps({**orjson.loads(first), **orjson.loads(second)}).decode()
        for first, second in zip(labels.gather(both), found.gather(both), strict=True)
    ]
    return found.zip_with(found.is_not_null(), labels).scatter(both, pl.Series(merged, dtype=pl.String))


def format_instants(micros: pl.Series) -> pl.Series:
    """Microseconds since the epoch as ISO 8601 in UTC, with three or six digits of a second."""
    text = micros.cast(pl.Datetime("us")).dt.strftime("%Y-%m-%dT%H:%M:%S%.6f")
    return text.str.strip_suffix("000") + "Z"
