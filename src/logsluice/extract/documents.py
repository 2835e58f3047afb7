"""From extracted columns to nested ECS documents, as JSON.

Texts are put together by Polars, a column at a time: a dictionary a row costs more than finding its facts. What
stands between the values of a row depends on nothing but which fields it has, and there are few such sets of fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import Any, Final, NamedTuple, TypeVar

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from logsluice.extract.schema import LABELS, REASON

_BITS: Final = 62
"""Fields that one number tells the presence of."""

Column = TypeVar("Column", pl.Series, pl.Expr)


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """Where a value stands in a document.

    Attributes:
        path: The field's name in parts.
        opening: What is in front of the value's text.
        closing: What is behind it.
    """

    path: tuple[str, ...]
    opening: str
    closing: str

    def order(self) -> tuple[tuple[bool, str], ...]:
        """What sorts places as they are in a document: an object's objects are its last, labels the first of those."""
        *parents, name = self.path
        is_object = self.path == (LABELS,)
        return (*((True, parent) for parent in parents), (is_object, "" if is_object else name))


_place = lru_cache(maxsize=None)(_Place)
"""The one object of a place, so that places are told apart by what they are, not by what is in them."""


class _Member(NamedTuple):
    """A field's values, as they are written in JSON.

    Attributes:
        texts: An expression over the columns; null where there is no value.
    """

    place: _Place
    texts: pl.Expr


def documents(
    extracted: pa.RecordBatch, extra: Mapping[str, Sequence[Any] | pa.Array] | None = None
) -> list[bytes | None]:
    """Render each row as a JSON object; fields without a value are left out.

    Args:
        extracted: What an extractor returned.
        extra: Further columns by dotted field name, aligned with the batch. Their values win.

    Returns:
        A document a row, None where the row has a reason not to be read.
    """
    columns = dict(zip(extracted.schema.names, extracted.columns, strict=True))
    for name, values in (extra or {}).items():
        column = values if isinstance(values, pa.Array) else pa.array(values)
        if name not in columns or not column.null_count:
            columns[name] = column
        elif column.null_count < len(column):
            columns[name] = pc.coalesce(column, columns[name])
    reasons = columns.pop(REASON)
    columns = {name: column for name, column in columns.items() if column.null_count < len(column)}
    frame = pl.DataFrame({REASON: reasons, **columns})
    in_labels = {name for name in columns if name.startswith(f"{LABELS}.")}
    found = [_member(name, columns[name], depth=1) for name in in_labels]
    members = [_member(name, column) for name, column in columns.items() if name not in {LABELS, *in_labels}]
    if found:
        nested = _objects(frame, found).replace("{}", None)
        merged = _merged(frame[LABELS], nested) if LABELS in columns else nested
        frame = frame.with_columns(merged.alias(LABELS))
    if LABELS in frame.columns:
        members.append(_Member(_place((LABELS,), "", ""), pl.col(LABELS)))
    rendered = _objects(frame, members).cast(pl.Binary)
    return rendered.zip_with(frame[REASON].is_null(), pl.Series([None], dtype=pl.Binary)).to_list()


def _member(name: str, column: pa.Array, depth: int = 0) -> _Member:
    """The member of an object that is so many levels deep."""
    path = tuple(name.split(".")[depth:])
    values = pl.col(name)
    if column.type == pa.string() and not _has_escapes(column):
        return _Member(_place(path, '"', '"'), values)
    if column.type == pa.list_(pa.string()) and _is_plain(column):
        return _Member(_place(path, '["', '"]'), values.list.join('","'))
    if isinstance(column.type, pa.TimestampType):
        return _Member(_place(path, '"', '"'), format_instants(values))
    if column.type in (pa.int64(), pa.bool_()):
        return _Member(_place(path, "", ""), values.cast(pl.String))
    written = pl.struct(values.alias("")).struct.json_encode().str.strip_prefix('{"":').str.strip_suffix("}")
    return _Member(_place(path, "", ""), pl.when(values.is_not_null()).then(written))


def _is_plain(lists: pa.ListArray) -> bool:
    """Whether each list's texts are in JSON as they are, with commas between them and at least one text."""
    texts = lists.flatten()
    return not texts.null_count and pc.min(lists.value_lengths()).as_py() > 0 and not _has_escapes(texts)


def _has_escapes(texts: pa.StringArray) -> bool:
    """Whether JSON cannot have one of some texts as it is (RFC 8259, 7)."""
    _, offsets, content = texts.buffers()
    places = memoryview(offsets).cast("i")
    begin, end = places[texts.offset], places[texts.offset + len(texts)]
    if begin == end:
        return False
    content = content.slice(begin, end - begin)
    written = content.to_pybytes()
    lowest = pc.min(pa.Array.from_buffers(pa.uint8(), len(written), [None, content])).as_py()
    return lowest < 0x20 or b'"' in written or b"\\" in written


def _objects(frame: pl.DataFrame, members: Sequence[_Member]) -> pl.Series:
    """A frame's rows as JSON objects."""
    if not members:
        return pl.repeat("{}", frame.height, eager=True)
    ordered = sorted(members, key=lambda member: member.place.order())
    places = tuple(member.place for member in ordered)
    texts = frame.select(member.texts.alias(f"text {number}") for number, member in enumerate(ordered))
    presence = texts.select(
        pl.sum_horizontal(
            pl.col(f"text {number}").is_not_null().cast(pl.UInt64) * (1 << number - start)
            for number in range(start, min(start + _BITS, len(ordered)))
        ).alias(f"presence {start}")
        for start in range(0, len(ordered), _BITS)
    )
    sets = presence.unique()
    between = zip(*(_between(places, bits) for bits in sets.iter_rows()), strict=True)
    sets = sets.with_columns(
        pl.Series(f"between {number}", pieces, dtype=pl.String) for number, pieces in enumerate(between)
    )
    rows = presence.join(sets, on=presence.columns, how="left", maintain_order="left").hstack(texts)
    pieces = [f"{kind} {number}" for number in range(len(ordered)) for kind in ("between", "text")]
    return rows.select(pl.concat_str(*pieces, f"between {len(ordered)}", ignore_nulls=True)).to_series()


@lru_cache(maxsize=10_000)
def _between(places: tuple[_Place, ...], presence: tuple[int, ...]) -> list[str | None]:
    """What is in front of the text at each place, where a row has one, and what is behind the last.

    Args:
        presence: A bit for each place, the first in the lowest of the first number.
    """
    pieces: list[str | None] = []
    objects: list[str] = []
    behind, comma = "", "{"
    for number, place in enumerate(places):
        if not presence[number // _BITS] >> number % _BITS & 1:
            pieces.append(None)
            continue
        *parents, name = place.path
        common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(objects, parents, strict=False)))
        opened = "".join(f"{_text(parent)}:{{" for parent in parents[common:])
        pieces.append(f"{behind}{'}' * (len(objects) - common)}{comma}{opened}{_text(name)}:{place.opening}")
        objects, behind, comma = parents, place.closing, ","
    return [*pieces, f"{behind}{'}' * len(objects)}}}" if comma == "," else "{}"]


def _text(name: str) -> str:
    return orjson.dumps(name).decode()


def _merged(labels: pl.Series, found: pl.Series) -> pl.Series:
    """Labels with those that patterns found, which win."""
    both = (labels.is_not_null() & found.is_not_null()).arg_true()
    merged = [
        orjson.dumps({**orjson.loads(first), **orjson.loads(second)}).decode()
        for first, second in zip(labels.gather(both), found.gather(both), strict=True)
    ]
    return found.zip_with(found.is_not_null(), labels).scatter(both, pl.Series(merged, dtype=pl.String))


def format_instants(micros: Column) -> Column:
    """Microseconds since the epoch as ISO 8601 in UTC, with three or six digits of a second."""
    return micros.cast(pl.Datetime("us")).dt.strftime("%Y-%m-%dT%H:%M:%S%.6f").str.strip_suffix("000") + "Z"
