"""Extraction of facts in one pass over whole columns, on Polars' linear-time regular expressions (Rust)."""

from __future__ import annotations

from typing import Any

import orjson
import polars as pl
import pyarrow as pa

from logsluice.extract import decode, event_time
from logsluice.extract.columns import read_column
from logsluice.extract.format_detection import CUT_LINE, REFERENCE, ROW, TEXT, FormatDetector
from logsluice.extract.matching import ColumnMatcher
from logsluice.extract.registry import Registry
from logsluice.extract.schema import FOUND, LABELS, REASON, TAGS, output_schema, polars_type
from logsluice.formats import TIME_REMARKS, read_timestamps
from logsluice.formats.defaults import KEYED_TIMESTAMPS
from logsluice.patterns import Pattern
from logsluice.patterns.model import Fact

_Columns = dict[str, pl.Series]


class ColumnarExtractor:
    """Finds the facts in batches of lines, column by column.

    Args:
        registry: Formats and patterns.
        time_zone: IANA zone of timestamps that carry none.

    Attributes:
        schema: The columns that come out.
    """

    def __init__(self, registry: Registry, time_zone: str = "UTC") -> None:
        self._fields = registry.fields
        self._patterns = registry.patterns.patterns
        self._zone = time_zone
        self._format_detector = FormatDetector(registry.formats, time_zone)
        self.schema = output_schema(self._fields)

    def extract(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Extract from a batch of :data:`~logsluice.extract.schema.INPUT_SCHEMA`; row by row, in order."""
        if batch.num_rows == 0:
            return pa.RecordBatch.from_pylist([], schema=self.schema)
        matcher = ColumnMatcher()
        decoded = decode.decode(batch["value"])
        original = pl.Series(decoded.texts)
        lines = pl.DataFrame(
            {
                ROW: pl.int_range(batch.num_rows, dtype=pl.UInt32, eager=True),
                TEXT: decode.bare_column(original),
                REFERENCE: pl.Series(batch["reference_ms"]),
                CUT_LINE: pl.Series(batch["original_length"]).is_not_null(),
            }
        )
        empty = original.str.strip_chars(decode.BLANK) == ""
        readable = lines.filter(~empty.fill_null(True))
        columns, tags = self._read(readable, matcher)
        out = _spread(columns, readable[ROW], batch.num_rows)
        reasons = out.pop(REASON, pl.repeat(None, batch.num_rows, dtype=pl.String, eager=True))
        reasons = _set(reasons, empty.fill_null(False), decode.EMPTY)
        reasons = _set(reasons, original.is_null(), decode.TOMBSTONE)
        timed_out = pl.Series(sorted(matcher.timed_out), dtype=pl.UInt32)
        reasons = _set(reasons, lines[ROW].is_in(timed_out.implode()), decode.REGEX_TIMEOUT)
        return self._assemble(batch, decoded, original, reasons, out, tags)

    def _read(self, lines: pl.DataFrame, matcher: ColumnMatcher) -> tuple[_Columns, dict[int, list[str]]]:
        """Header and facts of lines that have a text, and the remarks by row."""
        if lines.is_empty():
            return {}, {}
        header = self._format_detector.detect(lines, matcher)
        columns: _Columns = {name: header[name] for name in header.columns if name not in (ROW, REFERENCE)}
        tags: dict[int, list[str]] = {}
        self._give_types(columns, lines[ROW], tags)
        dateless = event_time.set_dateless_aside(columns)
        self._put_facts(columns, lines, matcher)
        event_time.complete(columns, dateless)
        _tag_instants(columns, lines, tags)
        instants = columns["@timestamp"]
        columns["@timestamp"] = instants.zip_with(instants.is_not_null(), lines[REFERENCE] * 1000)
        return columns, tags

    def _give_types(self, columns: _Columns, rows: pl.Series, tags: dict[int, list[str]]) -> None:
        """Give the header's texts their types; what does not fit becomes a label."""
        misfits: dict[int, dict[str, str]] = {}
        for name, texts in list(columns.items()):
            kind = self._fields.get(name)
            if kind in (None, "keyword", "text", "level", "date"):
                continue
            values = read_column(texts, kind)
            wrong = (values.is_null() & texts.is_not_null()).arg_true()
            for number in wrong.to_list():
                misfits.setdefault(number, {})[name] = texts[number]
            columns[name] = values
        if misfits:
            labels = columns.get(LABELS, pl.repeat(None, len(rows), dtype=pl.String, eager=True)).to_list()
            for number, texts_by_field in misfits.items():
                labels[number] = decode.labels_text({**orjson.loads(labels[number] or "{}"), **texts_by_field})
                tags.setdefault(rows[number], []).append(decode.WRONG_TYPE)
            columns[LABELS] = pl.Series(labels, dtype=pl.String)

    def _put_facts(self, columns: _Columns, lines: pl.DataFrame, matcher: ColumnMatcher) -> None:
        """Search every pattern in the messages; a header's value stays, then the first pattern's wins."""
        facts: _Columns = {}
        found: dict[str, pl.Series] = {}
        for pattern in self._patterns:
            where = _lacking(pattern, columns, facts) if pattern.fallback else None
            if where is not None and where.is_empty():
                continue
            messages, rows, seen = columns["message"], lines[ROW], lines[REFERENCE]
            if where is not None:
                messages, rows, seen = (column.gather(where) for column in (messages, rows, seen))
            groups = matcher.groups(pattern.compiled, messages, rows)
            was_found = _was_found(pattern, groups, messages, rows, matcher)
            found[pattern.name] = was_found if where is None else _at(where, was_found, len(lines), False)
            for group, fact in pattern.fields.items():
                for field, values in self._values(groups[group], fact, seen).items():
                    everywhere = values if where is None else _at(where, values, len(lines), None)
                    before = facts.get(field)
                    facts[field] = everywhere if before is None else before.zip_with(before.is_not_null(), everywhere)
        for field, values in facts.items():
            header = columns.get(field)
            columns[field] = values if header is None else header.zip_with(header.is_not_null(), values)
        columns[FOUND] = _names(found, len(lines))

    def _values(self, texts: pl.Series, fact: Fact, reference_ms: pl.Series) -> _Columns:
        """The values of a group, and of a timestamp what is uncertain about them."""
        if texts.null_count() == len(texts):
            return {fact.field: pl.repeat(None, len(texts), dtype=polars_type(fact.type), eager=True)}
        if fact.type != "date":
            return {fact.field: read_column(texts, fact.type)}
        read = read_timestamps(texts, KEYED_TIMESTAMPS, reference_ms, self._zone)
        if fact.field != "@timestamp" or not read.remarks.max():
            return {fact.field: read.instants}
        return {fact.field: read.instants, TIME_REMARKS: read.remarks}

    def _assemble(
        self,
        batch: pa.RecordBatch,
        decoded: decode.Decoded,
        original: pl.Series,
        reasons: pl.Series,
        columns: _Columns,
        tags: dict[int, list[str]],
    ) -> pa.RecordBatch:
        readable = reasons.is_null()
        arrays: dict[str, Any] = {
            name: column.zip_with(readable, pl.Series([None], dtype=column.dtype)).to_arrow()
            for name, column in columns.items()
        }
        arrays[REASON] = reasons.to_arrow()
        arrays["event.original"] = original.to_arrow()
        for number in decoded.undecodable:
            tags.setdefault(number, []).insert(0, decode.INVALID_UTF8)
        lengths = batch["original_length"]
        if lengths.null_count < len(lengths):
            fine = readable.to_list()
            arrays["logsluice.original_length"] = pa.array(
                [length if keep else None for length, keep in zip(lengths.to_pylist(), fine, strict=True)],
                pa.int64(),
            )
            arrays["event.hash"] = pa.array(
                [
                    digest if keep else None
                    for digest, keep in zip(batch["original_sha256"].to_pylist(), fine, strict=True)
                ],
                pa.string(),
            )
            for number in pl.Series(lengths).is_not_null().arg_true():
                place = int(number in decoded.undecodable)
                tags.setdefault(number, []).insert(place, decode.CUT)
        fine = readable.to_list()
        if decoded.undecodable:
            arrays["logsluice.original_bytes"] = pa.array(
                [decoded.undecodable.get(number) if keep else None for number, keep in enumerate(fine)],
                pa.string(),
            )
        if tags:
            arrays[TAGS] = pa.array(
                [tags.get(number) if keep else None for number, keep in enumerate(fine)],
                pa.list_(pa.string()),
            )
        return pa.RecordBatch.from_arrays(
            [
                arrays[field.name].cast(field.type) if field.name in arrays else pa.nulls(batch.num_rows, field.type)
                for field in self.schema
            ],
            schema=self.schema,
        )


def _spread(columns: _Columns, rows: pl.Series, length: int) -> _Columns:
    """Put columns of some rows into columns of all."""
    if len(rows) == length:
        return dict(columns)
    places = pl.Series([None], dtype=pl.UInt32).new_from_index(0, length)
    places = places.scatter(rows, pl.int_range(len(rows), dtype=pl.UInt32, eager=True))
    return {name: column.gather(places) for name, column in columns.items()}


def _set(column: pl.Series, where: pl.Series, value: str) -> pl.Series:
    return pl.Series([value]).new_from_index(0, len(column)).zip_with(where, column) if where.any() else column


def _tag_instants(columns: _Columns, lines: pl.DataFrame, tags: dict[int, list[str]]) -> None:
    instants, remarks = columns["@timestamp"], columns.pop(TIME_REMARKS, None)
    odd = (instants > lines[REFERENCE] * 1000 + decode.FUTURE_MICROS) | instants.is_between(
        0, decode.EPOCH_MICROS, closed="left"
    )
    odd = odd.fill_null(True)
    if remarks is not None:
        odd |= remarks.fill_null(0) > 0
    for number in odd.arg_true().to_list():
        instant = instants[number]
        remark = 0 if remarks is None else remarks[number] or 0
        found = (
            [decode.TIMESTAMP_MISSING]
            if instant is None
            else decode.timestamp_tags(instant, remark, lines[REFERENCE][number])
        )
        if found:
            tags.setdefault(lines[ROW][number], []).extend(found)


def _lacking(pattern: Pattern, columns: _Columns, facts: _Columns) -> pl.Series:
    """The places where neither a header nor a pattern has given any field of this one."""
    messages = columns["message"]
    lacking = pl.repeat(True, len(messages), dtype=pl.Boolean, eager=True)
    for fact in pattern.fields.values():
        for known in (columns.get(fact.field), facts.get(fact.field)):
            if known is not None:
                lacking &= known.is_null()
    return lacking.arg_true()


def _at(places: pl.Series, values: pl.Series, length: int, others: bool | None) -> pl.Series:
    """A column of values at some places, the same at all others."""
    return pl.repeat(others, length, dtype=values.dtype, eager=True).scatter(places, values)


def _was_found(
    pattern: Pattern, groups: _Columns, messages: pl.Series, rows: pl.Series, matcher: ColumnMatcher
) -> pl.Series:
    """Found is what matched with one of its groups taking part, or at all where it has none."""
    if not groups:
        return matcher.matches(pattern.compiled, messages, rows)
    found = pl.repeat(False, len(messages), dtype=pl.Boolean, eager=True)
    for column in groups.values():
        found |= column.is_not_null()
    return found


def _names(found: dict[str, pl.Series], length: int) -> pl.Series:
    """Lists of the names of what was found, in order; null where nothing was."""
    rows = [column.arg_true() for column in found.values()]
    named = pl.DataFrame(
        {
            ROW: pl.concat([pl.Series(dtype=pl.UInt32), *rows]),
            FOUND: pl.concat(
                [pl.Series(dtype=pl.String)]
                + [pl.repeat(name, len(row), eager=True) for name, row in zip(found, rows, strict=True)]
            ),
        }
    )
    lists = named.group_by(ROW, maintain_order=True).agg(FOUND)
    places = pl.Series([None], dtype=pl.UInt32).new_from_index(0, length)
    places = places.scatter(lists[ROW], pl.int_range(lists.height, dtype=pl.UInt32, eager=True))
    return lists[FOUND].gather(places)
