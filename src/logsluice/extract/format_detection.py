"""Detection of the format of each line of a column: the formats are tried in order, the first that fits wins."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import orjson
import polars as pl

from logsluice.extract import decode
from logsluice.extract.columns import by_distinct
from logsluice.extract.few_rows import FewRows, few_texts
from logsluice.extract.keyed_lines import JsonLines, LogfmtLines
from logsluice.extract.layers import MOST_LAYERS, inner_reference_ms, names_zone, settled_instant
from logsluice.extract.matching import ColumnMatcher
from logsluice.extract.schema import CUT_LINE, LABELS, REASON, REFERENCE, ROW, TEXT
from logsluice.formats import (
    TIME_REMARKS,
    Format,
    labels_text,
    normalize_level,
    read_timestamps,
    split_priority,
    with_pairs,
)
from logsluice.formats.timestamps import DATELESS
from logsluice.regex.prefilter import BEYOND_ASCII, POSITIONS

PARTIAL: Final = "partial"
WRAPS: Final = "wraps"
OUTER: Final = "outer"
"""Of lines within lines: the instant of what is around them, microseconds since the epoch."""
ZONED: Final = "zoned"
"""Whether the timestamp around a line names its zone."""
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

_MOST_BEGINNINGS: Final = 50_000


class _Dispatch:
    """Which formats lines can have by how they begin, so that most are never tried."""

    def __init__(self, formats: Sequence[Format]) -> None:
        self._tables = [
            [_of_each(_can_have(entry, place, code) for entry in formats) for code in range(BEYOND_ASCII + 1)]
            for place in range(POSITIONS)
        ]
        self._every = (1 << len(formats)) - 1
        self._inside = _of_each(not entry.standalone for entry in formats)
        self._known: dict[str, int] = {}

    def candidates(self, beginning: str) -> int:
        """The formats of lines with such a beginning, as a set of bits."""
        known = self._known.get(beginning)
        if known is None:
            known = self._every
            for table, character in zip(self._tables, beginning, strict=False):
                known &= table[min(ord(character), BEYOND_ASCII)]
            if len(self._known) >= _MOST_BEGINNINGS:
                self._known.clear()
            self._known[beginning] = known
        return known

    def split(self, lines: pl.DataFrame, *, inside: bool) -> list[_Alike]:
        """Put lines that can have the same formats together; where they are ``inside`` others, those with any."""
        beginnings = lines[TEXT].str.slice(0, POSITIONS)
        distinct = beginnings.unique()
        allowed = self._inside if inside else self._every
        sets = [self.candidates(text) & allowed for text in distinct]
        numbers = {formats: number for number, formats in enumerate(dict.fromkeys(sets))}
        if len(numbers) == 1:
            return [_Alike(sets[0], lines)]
        choice = beginnings.replace_strict(
            distinct, pl.Series([numbers[formats] for formats in sets], dtype=pl.UInt32), return_dtype=pl.UInt32
        )
        return [_Alike(formats, lines.filter(choice == number)) for formats, number in numbers.items() if formats]


class _Alike:
    """Lines that can have the same formats and have not been detected yet.

    Attributes:
        formats: The formats they can have, as a set of bits.
        lines: The lines.
        few: Their texts, where they are few.
    """

    def __init__(self, formats: int, lines: pl.DataFrame) -> None:
        self.formats = formats
        self.lines = lines
        self.few: list[str] | None = few_texts(lines[TEXT])
        self._having: dict[str, pl.Series] = {}

    def having(self, texts: Sequence[str]) -> pl.Series | None:
        """Which lines have all these texts in them; None where all lines do."""
        every: pl.Series | None = None
        for text in texts:
            having = self._having.get(text)
            if having is None:
                having = self._having[text] = self.lines[TEXT].str.contains(text, literal=True)
            every = having if every is None else every & having
        return None if every is None or every.all() else every

    def replace(self, lines: pl.DataFrame) -> None:
        """Go on with other lines."""
        self.lines = lines
        self.few = few_texts(lines[TEXT])
        self._having = {}

    def remove(self, taken: pl.Series) -> None:
        """Leave out lines."""
        left = ~taken
        self.lines = self.lines.filter(left)
        self.few = few_texts(self.lines[TEXT])
        self._having = {text: having.filter(left) for text, having in self._having.items()}


class FormatDetector:
    """Detects formats; a table of ``row``, ``text``, ``reference_ms`` and ``cut`` goes in."""

    def __init__(self, formats: Sequence[Format], time_zone: str) -> None:
        self._zone = time_zone
        self._json = JsonLines([entry for entry in formats if entry.kind == "json"])
        self._logfmt = {entry.name: LogfmtLines(entry) for entry in formats if entry.kind == "logfmt"}
        self._formats = tuple(entry for entry in formats if entry.kind != "json")
        self._dispatch = _Dispatch(self._formats)
        self._few_rows = FewRows()

    def detect(self, lines: pl.DataFrame, matcher: ColumnMatcher) -> pl.DataFrame:
        """Find the header of each line.

        Returns:
            A row a line, sorted by ``row``, with a column of text a field (``@timestamp``: Int64 microseconds
            since the epoch; ``log.level``: normalised), ``labels`` as JSON, ``reason`` where a line claims to be
            JSON and is not, and :data:`~logsluice.formats.TIME_REMARKS` (UInt8, null for none) where a timestamp is
            uncertain. What wraps a line of its own has been unwrapped.
        """
        header = self._once(lines, matcher, inside=False)
        for _ in range(MOST_LAYERS):
            if WRAPS not in header.columns:
                break
            inner = self._inside(header, matcher)
            header = _inner_wins(header.drop(WRAPS, ZONED), inner)
        return header.drop(WRAPS, ZONED, strict=False)

    def _inside(self, header: pl.DataFrame, matcher: ColumnMatcher) -> pl.DataFrame:
        """Headers of the lines within those that wrap one; of a line that no format takes only its bare text."""
        outer = header.filter(pl.col(WRAPS) & (pl.col("message") != ""))
        lines = outer.select(
            ROW,
            decode.bare_column(outer["message"]).alias(TEXT),
            pl.Series(
                REFERENCE,
                [
                    inner_reference_ms(instant, seen)
                    for instant, seen in zip(outer["@timestamp"], outer[REFERENCE], strict=True)
                ],
                dtype=pl.Int64,
            ),
            pl.lit(True).alias(CUT_LINE),
            pl.col("@timestamp").alias(OUTER),
            pl.col(ZONED).fill_null(False),
        )
        found = self._once(lines, matcher, inside=True).drop(REFERENCE)
        others = lines.filter(~lines[ROW].is_in(found[ROW].implode())).select(ROW, pl.col(TEXT).alias("message"))
        return pl.concat([found, others], how="diagonal")

    def _once(self, lines: pl.DataFrame, matcher: ColumnMatcher, *, inside: bool) -> pl.DataFrame:
        lines, keyed, rejected = self._json.read(lines)
        found = [rejected, *(self._complete(*each) for each in keyed)]
        if not lines.is_empty():
            found += self._by_formats(self._dispatch.split(lines, inside=inside), matcher)
        return pl.concat([_NO_HEADERS, *found], how="diagonal").sort(ROW)

    def _by_formats(self, groups: Sequence[_Alike], matcher: ColumnMatcher) -> list[pl.DataFrame]:
        """Format by format, because the engine keeps few compiled expressions at once."""
        found = []
        for number, entry in enumerate(self._formats):
            for group in groups:
                if group.formats >> number & 1 and not group.lines.is_empty():
                    found += self._take(entry, group, matcher)
        return found

    def _take(self, entry: Format, group: _Alike, matcher: ColumnMatcher) -> list[pl.DataFrame]:
        """The headers of the lines of a format, which are no longer in the group then."""
        if entry.regex is None:
            others, keyed, _ = self._logfmt[entry.name].read(group.lines)
            if keyed:
                group.replace(others)
            return [self._complete(*each) for each in keyed]
        if group.few is not None:
            matches = self._few_rows.whole_matches(entry.regex, group.few)
            if matches is not None:
                return self._take_few(entry, group, matches)
        texts, ids, having = group.lines[TEXT], group.lines[ROW], group.having(entry.regex.literals)
        if having is not None:
            if not having.any():
                return []
            texts, ids = texts.filter(having), ids.filter(having)
        fits = matcher.matches(entry.regex, texts, ids, whole=True)
        if not fits.any():
            return []
        # Of a clone, because scatter changes the series itself.
        taken_rows = fits if having is None else having.clone().scatter(having.arg_true(), fits)
        taken = group.lines.filter(taken_rows)
        group.remove(taken_rows)
        groups = matcher.groups(entry.regex, taken[TEXT], taken[ROW], whole=True)
        return [self._complete(entry, taken, _header(entry, groups), None)]

    def _take_few(self, entry: Format, group: _Alike, matches: Mapping[int, re.Match[str]]) -> list[pl.DataFrame]:
        """The headers of lines by their matches."""
        if not matches:
            return []
        taken_rows = pl.Series([number in matches for number in range(len(group.lines))], dtype=pl.Boolean)
        taken = group.lines.filter(taken_rows)
        group.remove(taken_rows)
        groups = {
            name: pl.Series([match[name] for match in matches.values()], dtype=pl.String) for name in entry.fields
        }
        return [self._complete(entry, taken, _header(entry, groups), None)]

    def _complete(
        self, entry: Format, lines: pl.DataFrame, texts: dict[str, pl.Series], labels: pl.Series | None
    ) -> pl.DataFrame:
        """Read timestamps and levels as the format has them, and add what it implies."""
        texts = {field: text if field == "message" else _not_empty(text) for field, text in texts.items()}
        if entry.wraps:
            written = texts.get("@timestamp", pl.repeat(None, len(lines), dtype=pl.String, eager=True))
            texts[ZONED] = pl.Series([text is not None and names_zone(text) for text in written], dtype=pl.Boolean)
        if "@timestamp" in texts:
            written = texts["@timestamp"]
            instants, remarks = read_timestamps(written, entry.timestamp, lines[REFERENCE], self._zone)
            if OUTER in lines.columns:
                around = zip(written, instants, lines[OUTER], lines[ZONED], strict=True)
                instants = pl.Series([settled_instant(*each) for each in around], dtype=pl.Int64)
                remarks = _settled_remarks(remarks, instants, lines[OUTER])
            texts["@timestamp"] = instants
            if remarks.max():
                texts[TIME_REMARKS] = remarks.zip_with(instants.is_not_null(), pl.Series([None], dtype=pl.UInt8))
        if "log.level" in texts:
            texts["log.level"] = by_distinct(
                texts["log.level"],
                lambda word: entry.levels.get(word.strip(" \t").lower()) or normalize_level(word),
                pl.String(),
            )
        if "log.syslog.priority" in texts:
            _add_priority(texts)
        if entry.duration_unit is not None and "event.duration" in texts:
            texts["event.duration"] += entry.duration_unit
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
        if entry.partial:
            columns.append(pl.repeat(True, len(lines), dtype=pl.Boolean, eager=True).rename(PARTIAL))
        if entry.wraps:
            columns.append(pl.repeat(True, len(lines), dtype=pl.Boolean, eager=True).rename(WRAPS))
        return lines.select(ROW, REFERENCE).with_columns(columns)


def _can_have(entry: Format, place: int, code: int) -> bool:
    """Whether lines of a format can have a character at a place; 128 stands for all beyond ASCII."""
    if entry.regex is None:
        character = chr(code)
        return place > 0 or (code < BEYOND_ASCII and (character.isalpha() or character in ("_", "@")))
    beginnings = entry.regex.beginnings
    return place >= len(beginnings) or bool(beginnings[place] >> code & 1)


def _of_each(answers: Iterable[bool]) -> int:
    """Answers as a set of bits, the first one lowest."""
    return sum(1 << number for number, answer in enumerate(answers) if answer)


def _header(entry: Format, groups: dict[str, pl.Series]) -> dict[str, pl.Series]:
    """Texts by field, with what the keys and values within the header say."""
    texts = _by_field(entry, groups)
    if entry.pairs:
        _add_pairs(entry, groups, texts)
    return texts


def _by_field(entry: Format, groups: dict[str, pl.Series]) -> dict[str, pl.Series]:
    """Of groups that fill the same field the last that took part wins."""
    texts: dict[str, pl.Series] = {}
    for group, column in groups.items():
        field = entry.fields[group]
        before = texts.get(field)
        texts[field] = column if before is None else column.zip_with(column.is_not_null(), before)
    return texts


def _add_pairs(entry: Format, groups: dict[str, pl.Series], texts: dict[str, pl.Series]) -> None:
    """Add what the keys and values within headers say; row by row, where there are any."""
    holders = [groups[group] for group in entry.pairs]
    cells = {field: column.to_list() for field, column in texts.items()}
    length = len(holders[0])
    for row in pl.select(pl.any_horizontal(column.is_not_null() for column in holders)).to_series().arg_true():
        header = {field: column[row] for field, column in cells.items() if column[row] is not None}
        for field, text in with_pairs(entry, {group: column[row] for group, column in groups.items()}, header).items():
            cells.setdefault(field, [None] * length)[row] = text
    texts |= {field: pl.Series(column, dtype=pl.String) for field, column in cells.items()}


def _not_empty(texts: pl.Series) -> pl.Series:
    return texts.zip_with(texts != "", pl.Series([None], dtype=pl.String))


def _settled_remarks(remarks: pl.Series, instants: pl.Series, outer: pl.Series) -> pl.Series:
    """What is uncertain about the times of lines within lines: not the date, which the outer time has."""
    frame = pl.DataFrame({"remarks": remarks, "instant": instants, "outer": outer})
    dated = pl.when(pl.col("outer").is_null()).then("remarks").otherwise(pl.col("remarks") & (0xFF & ~DATELESS))
    return frame.select(pl.when(pl.col("instant").is_null()).then(0).otherwise(dated).cast(pl.UInt8)).to_series()


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
    if TIME_REMARKS in outer.columns:
        # What is uncertain about the outer time is not about the inner one.
        dated = inner.filter(pl.col("@timestamp").is_not_null())[ROW]
        outer = outer.with_columns(pl.when(~pl.col(ROW).is_in(dated.implode())).then(TIME_REMARKS))
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
        else labels_text({**orjson.loads(first), **orjson.loads(second)})
        for first, second in zip(outer, inner, strict=True)
    ]
    return pl.Series(LABELS, merged, dtype=pl.String)
