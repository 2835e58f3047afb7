"""Extraction of facts in one pass over whole columns, on Polars' linear-time regular expressions (Rust)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
import polars as pl
import pyarrow as pa

from logsluice.event.addresses import ADDRESS_FIELDS, RUN, addresses_in_run, sole_source
from logsluice.extract import decode, event_time
from logsluice.extract.columns import read_column
from logsluice.extract.few_rows import FewRows
from logsluice.extract.format_detection import PARTIAL, FormatDetector
from logsluice.extract.matching import ColumnMatcher
from logsluice.extract.registry import Registry
from logsluice.extract.schema import (
    CUT_LINE,
    FOUND,
    LABELS,
    REASON,
    REFERENCE,
    RELATED,
    ROW,
    TAGS,
    TEXT,
    output_schema,
)
from logsluice.extract.severity import STATUS, outcomes
from logsluice.extract.text_names import TextNames
from logsluice.extract.urls import put_url_parts
from logsluice.formats import TIME_REMARKS, labels_text, read_timestamps
from logsluice.formats.defaults import KEYED_TIMESTAMPS
from logsluice.patterns import Fact
from logsluice.regex.compile import compile_regex
from logsluice.regex.regex_set import Candidates, RegexSet

_Columns = dict[str, pl.Series]
_PLACE = "place"
_MOST_TURNS = 2
"""Few: with the turns of loops told apart, the automaton of many patterns has a multitude of states."""

_RUNS = compile_regex(f"(?a){RUN}").rust or ""


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
        self._own = registry.patterns.own
        self._text_names = TextNames(registry.vocabulary, registry.fields)
        # The names' probes come behind the patterns.
        self._set = RegexSet(
            [*(pattern.compiled for pattern in self._patterns), *self._text_names.probes], most_turns=_MOST_TURNS
        )
        self._few_rows = FewRows()
        self._zone = time_zone
        self._format_detector = FormatDetector(registry.formats, time_zone)
        self.schema = output_schema(self._fields)

    def extract(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Extract from a batch of :data:`~logsluice.extract.schema.INPUT_SCHEMA`; row by row, in order."""
        if batch.num_rows == 0:
            return pa.RecordBatch.from_pylist([], schema=self.schema)
        matcher = ColumnMatcher(self._few_rows)
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
        _put_addresses(columns)
        put_url_parts(columns)
        _put_outcomes(columns)
        event_time.complete(columns, dateless)
        _tag_instants(columns, lines, tags)
        for place in columns.pop(PARTIAL, pl.Series(dtype=pl.Boolean)).fill_null(False).arg_true():
            tags.setdefault(lines[ROW][place], []).append(decode.PARTIAL)
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
                labels[number] = labels_text({**orjson.loads(labels[number] or "{}"), **texts_by_field})
                tags.setdefault(rows[number], []).append(decode.WRONG_TYPE)
            columns[LABELS] = pl.Series(labels, dtype=pl.String)

    def _put_facts(self, columns: _Columns, lines: pl.DataFrame, matcher: ColumnMatcher) -> None:
        """Search every pattern in the messages; a header's value stays, then the first pattern's wins.

        What a vocabulary's names say comes after an environment's own patterns and before the shipped ones.
        """
        searched = lines.select(ROW, REFERENCE, pl.lit(columns["message"]).alias(TEXT)).with_row_index(_PLACE)
        candidates = self._set.candidates(searched[TEXT].fill_null(""))
        found: dict[str, pl.Series] = {}
        for number, pattern in enumerate(self._patterns):
            if number == self._own:
                self._put_text_names(columns, candidates)
            places = candidates.rows(number)
            if pattern.fallback and pattern.first_field in columns:
                places = places.filter(columns[pattern.first_field].gather(places).is_null())
            if places.is_empty():
                continue
            rows = searched[places]
            if not pattern.fields:
                found[pattern.name] = rows[_PLACE].filter(matcher.matches(pattern.compiled, rows[TEXT], rows[ROW]))
                continue
            groups = matcher.groups(pattern.compiled, rows[TEXT], rows[ROW])
            for group, fact in pattern.fields.items():
                groups[group] = _without_excluded(groups[group], fact, rows[ROW], matcher)
            took_part = _any_value(groups.values())
            found[pattern.name] = rows[_PLACE].filter(took_part)
            some = took_part.sum() < len(rows) // 2
            rows = rows.filter(took_part) if some else rows
            for group, fact in pattern.fields.items():
                texts = groups[group].filter(took_part) if some else groups[group]
                for field, values in self._values(texts, fact, rows[REFERENCE], pattern.fallback).items():
                    _fill(columns, field, rows[_PLACE], values, len(lines))
        if self._own == len(self._patterns):
            self._put_text_names(columns, candidates)
        columns[FOUND] = _names(found, len(lines))

    def _put_text_names(self, columns: _Columns, candidates: Candidates) -> None:
        first = len(self._patterns)
        probed = [candidates.rows(first + number) for number in range(len(self._text_names.probes))]
        self._text_names.fill(columns, probed)

    def _values(self, texts: pl.Series, fact: Fact, reference_ms: pl.Series, fallback: bool) -> _Columns:
        """The values of a group, and of a timestamp what is uncertain about them.

        A date in a message that is later than its reading is not that of the event.
        """
        if texts.null_count() == len(texts):
            return {}
        if fact.type != "date":
            return {fact.field: read_column(texts, fact.type)}
        read = read_timestamps(texts, KEYED_TIMESTAMPS, reference_ms, self._zone)
        if fact.field != "@timestamp":
            return {fact.field: read.instants}
        instants, remarks = read
        if fallback:
            past = instants <= reference_ms * 1000 + decode.FUTURE_MICROS
            instants = instants.zip_with(past.fill_null(False), pl.Series([None], dtype=pl.Int64))
        return {fact.field: instants, TIME_REMARKS: remarks} if remarks.max() else {fact.field: instants}

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


def _put_addresses(columns: _Columns) -> None:
    """Name every address of an event; where it has no source, the one of a message about access is it."""
    messages = columns["message"]
    length = len(messages)
    runs = messages.str.extract_all(_RUNS).alias("run")
    rows = (runs.list.len() > 0).arg_true()
    found = pl.DataFrame({ROW: rows, "run": runs.gather(rows)}).explode("run")
    read = [(run, ip) for run in found["run"].unique().to_list() for ip in addresses_in_run(run)]
    table = pl.DataFrame(read, {"run": pl.String, "ip": pl.String}, orient="row")
    found = found.join(table, on="run", maintain_order="left_right").drop("run").unique(maintain_order=True)
    _put_sole_sources(columns, found)
    parts = []
    for field in ADDRESS_FIELDS:
        if field in columns:
            places = columns[field].is_not_null().arg_true()
            parts.append(pl.DataFrame({ROW: places, "ip": columns[field].gather(places)}))
    every = pl.concat([*parts, found]).unique(maintain_order=True).sort(ROW, maintain_order=True)
    lists = every.group_by(ROW, maintain_order=True).agg("ip")
    places = pl.Series([None], dtype=pl.UInt32).new_from_index(0, length)
    places = places.scatter(lists[ROW], pl.int_range(lists.height, dtype=pl.UInt32, eager=True))
    columns[RELATED] = lists["ip"].gather(places)


def _put_outcomes(columns: _Columns) -> None:
    """Say of each request that was answered whether it succeeded."""
    if STATUS in columns:
        found = outcomes(columns[STATUS])
        known = columns.get("event.outcome")
        columns["event.outcome"] = found if known is None else known.zip_with(known.is_not_null(), found)


def _put_sole_sources(columns: _Columns, found: pl.DataFrame) -> None:
    """Fill ``source.ip`` by :func:`~logsluice.event.addresses.sole_source`."""
    messages = columns["message"]
    alone = found.filter(found[ROW].is_unique())
    for field in ("source.ip", "client.ip"):
        if field in columns:
            alone = alone.filter(columns[field].gather(alone[ROW]).is_null())
    if "destination.ip" in columns:
        alone = alone.filter(columns["destination.ip"].gather(alone[ROW]).ne_missing(alone["ip"]))
    texts = messages.gather(alone[ROW])
    sources = [sole_source(text, ip) for text, ip in zip(texts.to_list(), alone["ip"].to_list(), strict=True)]
    if any(sources):
        nothing = pl.repeat(None, len(messages), dtype=pl.String, eager=True)
        known = columns.get("source.ip", nothing)
        columns["source.ip"] = known.zip_with(
            known.is_not_null(), nothing.scatter(alone[ROW], pl.Series(sources, dtype=pl.String))
        )


def _spread(columns: _Columns, rows: pl.Series, length: int) -> _Columns:
    """Put columns of some rows into columns of all."""
    if len(rows) == length:
        return dict(columns)
    places = pl.Series([None], dtype=pl.UInt32).new_from_index(0, length)
    places = places.scatter(rows, pl.int_range(len(rows), dtype=pl.UInt32, eager=True))
    return {name: column.gather(places) for name, column in columns.items()}


def _without_excluded(texts: pl.Series, fact: Fact, rows: pl.Series, matcher: ColumnMatcher) -> pl.Series:
    """A group's texts but those that are no value of its field."""
    if fact.excluded is None or texts.null_count() == len(texts):
        return texts
    excluded = matcher.matches(fact.excluded, texts, rows, whole=True)
    return texts.zip_with(~excluded.fill_null(False), pl.Series([None], dtype=pl.String))


def _fill(columns: _Columns, field: str, places: pl.Series, values: pl.Series, length: int) -> None:
    """Put values into a field where it has none."""
    before = columns.get(field)
    if before is None:
        before = pl.repeat(None, length, dtype=values.dtype, eager=True)
    some = before.gather(places)
    columns[field] = before.scatter(places, some.zip_with(some.is_not_null(), values))


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


def _any_value(columns: Iterable[pl.Series]) -> pl.Series:
    """The rows in which one of some columns has a value."""
    first, *others = [column.is_not_null() for column in columns]
    for other in others:
        first |= other
    return first


def _names(found: dict[str, pl.Series], length: int) -> pl.Series:
    """Lists of the names of what was found, in order; null where nothing was."""
    rows = list(found.values())
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
