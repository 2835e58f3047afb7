"""Detection of the format of each line of a column: the formats are tried in order, the first that fits wins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson
import polars as pl

from logsluice.extract import decode
from logsluice.extract.columns import by_distinct
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
from logsluice.regex.compile import compile_regex
from logsluice.regex.regex_set import RegexSet

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

_MAY_BE_LOGFMT: Final = r"(?s)[A-Za-z_@][0-9A-Za-z_.@/-]*=.*"


class FormatDetector:
    """Detects formats; a table of ``row``, ``text``, ``reference_ms`` and ``cut`` goes in."""

    def __init__(self, formats: Sequence[Format], time_zone: str) -> None:
        self._zone = time_zone
        self._json = JsonLines([entry for entry in formats if entry.kind == "json"])
        self._logfmt = {entry.name: LogfmtLines(entry) for entry in formats if entry.kind == "logfmt"}
        self._formats = tuple(entry for entry in formats if entry.kind != "json")
        expressions = [entry.regex or compile_regex(_MAY_BE_LOGFMT) for entry in self._formats]
        self._set = RegexSet(expressions, whole=True)
        self._nestable = frozenset(number for number, entry in enumerate(self._formats) if not entry.standalone)

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
            found += self._by_formats(lines, matcher, inside=inside)
        return pl.concat([_NO_HEADERS, *found], how="diagonal").sort(ROW)

    def _by_formats(self, lines: pl.DataFrame, matcher: ColumnMatcher, *, inside: bool) -> list[pl.DataFrame]:
        """The headers of lines by the first format of each that fits; ``inside`` others not by standalone ones."""
        candidates = self._set.candidates(lines[TEXT])
        kinds = [[number for number in kind if not inside or number in self._nestable] for kind in candidates.kinds]
        waiting: dict[int, list[pl.Series]] = {}

        def wait(places: pl.Series, tried: int) -> None:
            following = [next((number for number in kind if number > tried), -1) for kind in kinds]
            numbers = pl.Series(following, dtype=pl.Int32).gather(candidates.codes.gather(places))
            for number in numbers.unique().to_list():
                waiting.setdefault(number, []).append(places.filter(numbers == number))

        wait(pl.int_range(len(lines), dtype=pl.UInt32, eager=True), -1)
        found = []
        for number, entry in enumerate(self._formats):
            if number not in waiting:
                continue
            places = pl.concat(waiting.pop(number)).sort()
            those = lines[places]
            headers, taken = self._take(entry, those, matcher, exact=number in self._set.exact)
            found += headers
            if taken is not None:
                wait(places.filter(~taken), number)
        return found

    def _take(
        self, entry: Format, lines: pl.DataFrame, matcher: ColumnMatcher, *, exact: bool
    ) -> tuple[list[pl.DataFrame], pl.Series | None]:
        """The headers of the lines that have a format, and which these are; None where all are."""
        if entry.regex is None:
            others, keyed, _ = self._logfmt[entry.name].read(lines)
            return [self._complete(*each) for each in keyed], ~lines[ROW].is_in(others[ROW].implode())
        taken = pl.repeat(True, len(lines), dtype=pl.Boolean, eager=True)
        fitting = lines
        if not exact:
            taken = matcher.matches(entry.regex, lines[TEXT], lines[ROW], whole=True)
            fitting = lines.filter(taken)
        if not taken.any():
            return [], taken
        groups = matcher.groups(entry.regex, fitting[TEXT], fitting[ROW], whole=True)
        header = self._complete(entry, fitting, _header(entry, groups), None)
        return [header], None if taken.all() else taken

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
