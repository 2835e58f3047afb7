"""Reading whole columns of text as their types, with the answers of :mod:`.values`."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from logsluice.event.addresses import IPV4, clean_ip
from logsluice.event.ecs import FieldType
from logsluice.event.quantities import LONG, UNITS
from logsluice.extract.values import BOOLEANS, DOUBLE, DURATION, MAX_DURATION, Value, read_value


def read_column(texts: pl.Series, kind: FieldType) -> pl.Series:
    """Read a column of text as a type other than ``date``; null where a text is not of that type."""
    if kind in ("keyword", "text"):
        return texts
    if kind == "level":
        return by_distinct(texts, lambda text: read_value(text, "level"), pl.String())
    if kind == "long":
        whole = _fitting(texts, LONG).str.extract(r"^\+?(-?[0-9]+)")
        return whole.cast(pl.Int64)
    if kind == "ip":
        return _read_ips(texts)
    if kind == "duration":
        return _read_durations(texts)
    if kind == "double":
        numbers = _fitting(texts, DOUBLE).str.strip_prefix("+").cast(pl.Float64)
        return numbers.zip_with(numbers.is_finite(), pl.Series([None], dtype=pl.Float64))
    if kind == "boolean":
        return texts.replace_strict(BOOLEANS, default=None, return_dtype=pl.Boolean)
    raise ValueError(f"no way to read {kind} without knowing when the event was seen")


def by_distinct(texts: pl.Series, read: Callable[[str], Value | None], dtype: pl.DataType) -> pl.Series:
    """Apply a function once to each distinct text: for columns of few values."""
    table = {text: read(text) for text in texts.unique().drop_nulls().to_list()}
    if not table:
        return pl.Series(texts.name, [None] * len(texts), dtype=dtype)
    return texts.replace_strict(
        pl.Series(list(table), dtype=pl.String), pl.Series(list(table.values()), dtype=dtype), default=None
    ).cast(dtype)


def _fitting(texts: pl.Series, pattern: str) -> pl.Series:
    return texts.zip_with(texts.str.contains(rf"\A(?:{pattern})\z"), pl.Series([None], dtype=pl.String))


def _read_ips(texts: pl.Series) -> pl.Series:
    v4 = _fitting(texts, IPV4)
    others = texts.zip_with(v4.is_null(), pl.Series([None], dtype=pl.String))
    if others.null_count() == len(others):
        return v4
    return v4.zip_with(v4.is_not_null(), by_distinct(others, clean_ip, pl.String()))


def _read_durations(texts: pl.Series) -> pl.Series:
    parts = texts.str.extract_groups(rf"\A(?:{DURATION})\z").struct
    factor = parts.field("2").replace_strict(UNITS, default=None, return_dtype=pl.Int64).cast(pl.Float64)
    nanoseconds = (parts.field("1").cast(pl.Float64) * factor + 0.5).floor()
    fits = nanoseconds < MAX_DURATION
    return nanoseconds.zip_with(fits, pl.Series([None], dtype=pl.Float64)).cast(pl.Int64)
