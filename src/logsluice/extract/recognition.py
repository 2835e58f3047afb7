"""Recognising what format each line of a column has: the formats are tried in order, the first that fits wins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
import polars as pl

from logsluice.extract import reading
from logsluice.extract.columns import by_distinct
from logsluice.extract.matching import ColumnMatcher
from logsluice.extract.schema import LABELS, REASON
from logsluice.formats import (
    Format,
    KeyedEvent,
    normalize_level,
    parse_timestamps,
    read_json,
    read_logfmt,
    split_priority,
)

ROW: Final = "row"
TEXT: Final = "text"
REFERENCE: Final = "reference_ms"
CUT_LINE: Final = "cut"
WRAPS: Final = "wraps"
DATASET: Final = "event.dataset"

_NO_HEADERS: Final = pl.DataFrame(
    schema={
        ROW: pl.UInt32,
        REFERENCE: pl.Int64,
        "@timestamp": pl.Int64,
        "message": pl.String,
        DATASET: pl.String,
    }
)
"""The columns that every table of headers has."""

_LOGFMT_BEGINNING: Final = r"\A[A-Za-z_@][0-9A-Za-z_.@/-]*="


@dataclass(frozen=True, slots=True)
class _Dispatch:
    """Formats to try by a line's first character, so that most are never tried."""

    by_character: dict[str, int]
    beyond_ascii: int
    choices: tuple[tuple[Format, ...], ...]


class Recognizer:
    """Recognises formats; a table of ``row``, ``text``, ``reference_ms`` and ``cut`` goes in."""

    def __init__(self, formats: Sequence[Format], time_zone: str) -> None:
        self._zone = time_zone
        self._json = tuple(entry for entry in formats if entry.kind == "json")
        self._plain = formats[-1]
        self._dispatch = _dispatch([entry for entry in formats if entry.kind != "json"])

    def recognize(self, lines: pl.DataFrame, matcher: ColumnMatcher) -> pl.DataFrame:
        """Find the header of each line.

        Returns:
            A row a line, sorted by ``row``, with a column of text a field (``@timestamp``: Int64 microseconds
            since the epoch; ``log.level``: normalised), ``labels`` as JSON, and ``reason`` where a line claims to
            be JSON and is not. What wraps a line of its own has been unwrapped.
        """
        header = self._once(lines, matcher)
        if WRAPS not in header.columns:
            return header
        inside = header.filter(pl.col(WRAPS) & (pl.col("message") != ""))
        inner_lines = inside.select(
            ROW,
            pl.col("message").str.strip_prefix("\ufeff").str.strip_chars_end("\r\n").alias(TEXT),
            REFERENCE,
            pl.lit(True).alias(CUT_LINE),
        )
        inner = self._once(inner_lines, matcher).drop(REFERENCE, WRAPS, strict=False)
        inner = inner.with_columns(pl.when(pl.col(DATASET) != self._plain.name).then(pl.col(DATASET)).alias(DATASET))
        return _inner_wins(header.drop(WRAPS), inner)

    def _once(self, lines: pl.DataFrame, matcher: ColumnMatcher) -> pl.DataFrame:
        lines, found = self._read_json_lines(lines)
        first = lines[TEXT].str.slice(0, 1)
        dispatch = self._dispatch
        choice = first.replace_strict(dispatch.by_character, default=dispatch.beyond_ascii, return_dtype=pl.UInt32)
        for number in choice.unique().to_list():
            found += self._by_formats(lines.filter(choice == number), dispatch.choices[number], matcher)
        return pl.concat([_NO_HEADERS, *found], how="diagonal").sort(ROW)

    def _by_formats(self, lines: pl.DataFrame, formats: Iterable[Format], matcher: ColumnMatcher) -> list[pl.DataFrame]:
        found = []
        for entry in formats:
            if lines.is_empty():
                break
            if entry.regex is None:
                lines, keyed = self._read_logfmt_lines(lines, entry)
                found += keyed
                continue
            fits = matcher.matches(entry.regex, lines[TEXT], lines[ROW], whole=True)
            if fits.any():
                taken, lines = lines.filter(fits), lines.filter(~fits)
                groups = matcher.groups(entry.regex, taken[TEXT], taken[ROW], whole=True)
                texts = _by_field(entry, groups)
                found.append(self._complete(entry, taken, texts, None))
        return found

    def _read_json_lines(self, lines: pl.DataFrame) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
        opens = lines[TEXT].str.starts_with("{")
        if not opens.any():
            return lines, []
        candidates = lines.filter(opens)
        events = [read_json(text, self._json) for text in candidates[TEXT]]
        rejected = [
            event is None and not cut and reading.claims_json(text)
            for event, text, cut in zip(events, candidates[TEXT], candidates[CUT_LINE], strict=True)
        ]
        found = self._of_events(candidates, events)
        if any(rejected):
            reason = pl.lit(reading.INVALID_JSON).alias(REASON)
            found.append(candidates.filter(pl.Series(rejected)).select(ROW, REFERENCE, reason))
        others = pl.Series(
            [event is None and not bad for event, bad in zip(events, rejected, strict=True)], dtype=pl.Boolean
        )
        return pl.concat([lines.filter(~opens), candidates.filter(others)]), found

    def _read_logfmt_lines(self, lines: pl.DataFrame, entry: Format) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
        opens = lines[TEXT].str.contains(_LOGFMT_BEGINNING)
        if not opens.any():
            return lines, []
        candidates = lines.filter(opens)
        events = [read_logfmt(text, (entry,)) for text in candidates[TEXT]]
        others = pl.Series([event is None for event in events], dtype=pl.Boolean)
        return pl.concat([lines.filter(~opens), candidates.filter(others)]), self._of_events(candidates, events)

    def _of_events(self, lines: pl.DataFrame, events: Sequence[KeyedEvent | None]) -> list[pl.DataFrame]:
        """Columns of the events that were read, a table a format."""
        rows_by_format: dict[str, list[int]] = {}
        for number, event in enumerate(events):
            if event is not None:
                rows_by_format.setdefault(event.format.name, []).append(number)
        return [self._of_one_format(lines, events, rows) for rows in rows_by_format.values()]

    def _of_one_format(self, lines: pl.DataFrame, events: Sequence[KeyedEvent | None], rows: list[int]) -> pl.DataFrame:
        chosen = [event for row in rows if (event := events[row]) is not None]
        cells: dict[str, list[str | None]] = {}
        for number, event in enumerate(chosen):
            for field, text in event.fields.items():
                if field not in cells:
                    cells[field] = [None] * len(chosen)
                cells[field][number] = text
        cells["@timestamp"] = [event.timestamp for event in chosen]
        cells["log.level"] = [event.level for event in chosen]
        cells["message"] = [event.message for event in chosen]
        labels = [orjson.dumps(event.labels).decode() if event.labels else None for event in chosen]
        texts = {field: pl.Series(values, dtype=pl.String) for field, values in cells.items()}
        return self._complete(chosen[0].format, lines[rows], texts, pl.Series(labels, dtype=pl.String))

    def _complete(
        self, entry: Format, lines: pl.DataFrame, texts: dict[str, pl.Series], labels: pl.Series | None
    ) -> pl.DataFrame:
        """Read timestamps and levels as the format has them, and add what it implies."""
        texts = {field: text if field == "message" else _not_empty(text) for field, text in texts.items()}
        if "@timestamp" in texts:
            texts["@timestamp"] = parse_timestamps(texts["@timestamp"], entry.timestamp, lines[REFERENCE], self._zone)
        if "log.level" in texts:
            texts["log.level"] = by_distinct(
                texts["log.level"],
                lambda word: entry.levels.get(word.strip(" \t").lower()) or normalize_level(word),
                pl.String(),
            )
        if "log.syslog.priority" in texts:
            _add_priority(texts)
        for field, value in entry.defaults.items():
            if field in texts:
                texts[field] = texts[field].fill_null(value)
            else:
                texts[field] = pl.repeat(value, len(lines), dtype=pl.String, eager=True)
        message = texts.get("message")
        texts["message"] = lines[TEXT] if message is None else message.zip_with(message.is_not_null(), lines[TEXT])
        if labels is not None:
            texts[LABELS] = labels
        columns = [column.rename(field) for field, column in texts.items()]
        columns.append(pl.repeat(entry.name, len(lines), dtype=pl.String, eager=True).rename(DATASET))
        if entry.wraps:
            columns.append(pl.repeat(True, len(lines), dtype=pl.Boolean, eager=True).rename(WRAPS))
        return lines.select(ROW, REFERENCE).with_columns(columns)


def _dispatch(formats: Sequence[Format]) -> _Dispatch:
    choices: dict[tuple[str, ...], tuple[Format, ...]] = {}

    def choice_for(character: str | None) -> int:
        fitting = tuple(entry for entry in formats if _can_begin(entry, character))
        names = tuple(entry.name for entry in fitting)
        choices.setdefault(names, fitting)
        return list(choices).index(names)

    by_character = {character: choice_for(character) for character in ("", *map(chr, range(128)))}
    beyond_ascii = choice_for(None)
    return _Dispatch(by_character, beyond_ascii, tuple(choices.values()))


def _can_begin(entry: Format, character: str | None) -> bool:
    """Whether a line of the format can begin so; None stands for any character beyond ASCII."""
    if entry.regex is None:
        return character is not None and (character.isalpha() or character in ("_", "@"))
    first = entry.regex.first_characters
    return first is None or character in first


def _by_field(entry: Format, groups: dict[str, pl.Series]) -> dict[str, pl.Series]:
    """Of groups that fill the same field the last that took part wins."""
    texts: dict[str, pl.Series] = {}
    for group, column in groups.items():
        field = entry.fields[group]
        before = texts.get(field)
        texts[field] = column if before is None else column.zip_with(column.is_not_null(), before)
    return texts


def _not_empty(texts: pl.Series) -> pl.Series:
    return texts.zip_with(texts != "", pl.Series([None], dtype=pl.String))


def _add_priority(texts: dict[str, pl.Series]) -> None:
    priority = texts["log.syslog.priority"]

    def part(number: int) -> pl.Series:
        return by_distinct(
            priority,
            lambda text: str(split_priority(int(text))[number]) if text.isdecimal() else None,
            pl.String(),
        )

    level = texts.get("log.level")
    implied = part(2)
    texts["log.level"] = implied if level is None else level.zip_with(level.is_not_null(), implied)
    texts["log.syslog.facility.code"] = part(0)
    texts["log.syslog.severity.code"] = part(1)


def _inner_wins(outer: pl.DataFrame, inner: pl.DataFrame) -> pl.DataFrame:
    """Put what an inner line says over what its wrapping says."""
    joined = outer.join(inner, on=ROW, how="left", suffix=" inner", maintain_order="left")
    both = [name for name in inner.columns if name != ROW and name in outer.columns]
    merged = joined.with_columns(
        pl.coalesce(pl.col(f"{name} inner"), pl.col(name)).alias(name) for name in both if name != LABELS
    )
    if LABELS in both:
        merged = merged.with_columns(_merged_labels(joined[LABELS], joined[f"{LABELS} inner"]))
    return (
        merged.drop(f"{name} inner" for name in both)
        .drop(REASON, strict=False)
        .with_columns(outer[REASON] if REASON in outer.columns else pl.lit(None, pl.String).alias(REASON))
    )


def _merged_labels(outer: pl.Series, inner: pl.Series) -> pl.Series:
    merged = [
        first or second
        if first is None or second is None
        else orjson.dumps({**orjson.loads(first), **orjson.loads(second)}).decode()
        for first, second in zip(outer, inner, strict=True)
    ]
    return pl.Series(LABELS, merged, dtype=pl.String)
