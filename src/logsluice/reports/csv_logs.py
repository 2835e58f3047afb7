"""Reader of CSV logs: detects the layout, gives rows as columns of text, and sets bad rows aside.

RFC 4180 with a comma, semicolon, tab or bar between columns: a field between double quotes may hold separators, line
ends and doubled quotes; a quote inside an unquoted field is a character like any other. A quote that is opened and
never closed costs the row in which it stands, not the rest of the file.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl
import pyarrow as pa

from logsluice.errors import LogsluiceError
from logsluice.extract.decode import decode
from logsluice.inputs.files import open_bytes, reading
from logsluice.jobs.spark.files import FilePart, plan_parts, read_part

REQUIRED: Final = ("timestamp", "log_level", "message")

_NAMES: Final[dict[str, str]] = {
    spelling: column
    for column, spellings in {
        "timestamp": "timestamp @timestamp time datetime date_time event_time ts",
        "log_level": "log_level log.level loglevel level severity severity_text",
        "message": "message msg log_message",
        "ip": "ip ip_address ipaddress client_ip client.ip source_ip source.ip remote_addr src_ip",
        "service": "service service_name service.name",
        "endpoint": "endpoint path url_path url.path",
        "error_type": "error_type error.type exception_type",
        "status": "status_code http_status http_status_code http.response.status_code response_code status sc_status",
    }.items()
    for spelling in spellings.split()
}
_SEPARATORS: Final = (",", ";", "\t", "|")
_CSV_FILE: Final = re.compile(r"\.(?:csv|tsv)(?:\.gz|\.zst)?\Z", re.IGNORECASE)
_HEADER_BYTES: Final = 64 * 1024
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_BLOCK_BYTES: Final = 4 << 20
_ROWS: Final = 10_000
_LONGEST_ROW_LINES: Final = 1_000
_LONGEST_ROW: Final = 1 << 20
_OPEN_QUOTE: Final = "a quote is opened and never closed"
# Dates whose first number can only be a day, and whose second one can only be.
_DAY_FIRST: Final = re.compile(rb'(?:^|[",;\t|])(?:1[3-9]|2[0-9]|3[01])/[0-9]{1,2}/[0-9]{2,4}[ ,T:-]', re.MULTILINE)
_MONTH_FIRST: Final = re.compile(rb'(?:^|[",;\t|])[0-9]{1,2}/(?:1[3-9]|2[0-9]|3[01])/[0-9]{2,4}[ ,T:-]', re.MULTILINE)
_SLASHES: Final = re.compile(rb'(?:^|[",;\t|])[0-9]{1,2}/[0-9]{1,2}/[0-9]{2,4}[ ,T:-]', re.MULTILINE)

_BEFORE_SLASHES: Final = (
    "iso8601", "iso_basic", "epoch", "slash_ymd", "clf", "day_month_year", "ctime", "month_day_year", "iso_ampm",
)  # fmt: skip
_BEHIND_SLASHES: Final = (
    "slash_mdyy", "dot_dmy", "dot_ymd", "dash_dmy", "year_month_day", "dotted_clock", "slash_yymd", "compact_yymd",
    "syslog", "day_month",
)  # fmt: skip

csv.field_size_limit(1 << 30)


@dataclass(frozen=True, slots=True)
class CsvLayout:
    """The layout of a CSV log: its separator and columns.

    Attributes:
        header: The names of the columns, as they are written.
        columns: Number of each column that is read, by the name it has here.
        header_lines: Lines up to the end of the header.
        day_first: ``03/04/2026`` is the third of April.
        quoted: There is a double quote somewhere in the file.
    """

    separator: str
    header: tuple[str, ...]
    columns: dict[str, int]
    header_lines: int
    day_first: bool = False
    quoted: bool = True

    @property
    def syntaxes(self) -> tuple[str, ...]:
        """Of timestamps, in the order in which they are tried."""
        slashes = ("slash_dmy", "slash_mdy") if self.day_first else ("slash_mdy", "slash_dmy")
        return (*_BEFORE_SLASHES, *slashes, *_BEHIND_SLASHES)


class UnreadableRow(NamedTuple):
    """A row that cannot be read, and the line on which it begins, counted from the first line read."""

    line: int
    reason: str
    row: str


@dataclass(slots=True)
class Rows:
    """Some rows of a CSV log, and those that have no columns.

    The columns are ``line`` (Int64, on which a row begins, counted from the first line read), ``row`` (its text) and
    the text of each column that the log has.
    """

    columns: pl.DataFrame
    unreadable: list[UnreadableRow] = field(default_factory=list)


def detect_layout(path: Path, name: str) -> CsvLayout | None:
    """The layout of a CSV log, or None where a file is something else.

    A file is a CSV log when its first line that is not blank names the columns ``timestamp``, ``log_level`` and
    ``message`` or two of them, or one of them where its name ends in ``.csv`` or ``.tsv``.

    Raises:
        LogsluiceError: It is a CSV log that lacks a column, or cannot be read.
    """
    with reading(Path(name)), open_bytes(path) as file:
        beginning = file.read(_HEADER_BYTES)
    layout = _read_header(beginning)
    if layout is None:
        return None
    found = [column for column in REQUIRED if column in layout.columns]
    missing = [column for column in REQUIRED if column not in layout.columns]
    if len(found) < (1 if _CSV_FILE.search(name) else 2):
        return None
    if missing:
        raise LogsluiceError(
            f"has no column {' and no column '.join(missing)}",
            where=name,
            why=f"its columns are {', '.join(layout.header)}",
            hint="a CSV log needs timestamp, log_level and message",
        )
    return layout


def _read_header(beginning: bytes) -> CsvLayout | None:
    lines = beginning.removeprefix(_BYTE_ORDER_MARK).split(b"\n")
    number = next((number for number, line in enumerate(lines) if line.strip()), None)
    if number is None:
        return None
    try:
        header = lines[number].decode().strip("\r\n \ufeff")
    except UnicodeDecodeError:
        return None
    best: CsvLayout | None = None
    for separator in _SEPARATORS:
        fields = parse_row(header, separator)
        if isinstance(fields, str):
            continue
        names = tuple(field.strip() for field in fields)
        columns: dict[str, int] = {}
        for place, name in enumerate(names):
            column = _NAMES.get(re.sub(r"[\s-]+", "_", name.lower()))
            if column is not None:
                columns.setdefault(column, place)
        if best is None or len(columns) > len(best.columns):
            best = CsvLayout(separator, names, columns, number + 1)
    return best


def plan_csv(path: Path, name: str, layout: CsvLayout, *, part_bytes: int) -> tuple[CsvLayout, list[FilePart]]:
    """Cut a CSV log into parts, and complete its layout by what can only be seen in the whole file.

    A file with quotes is one part: where a row begins can only be seen from the beginning.

    Raises:
        LogsluiceError: The file cannot be read.
    """
    with reading(Path(name)), open_bytes(path) as file:
        sample = file.read(_BLOCK_BYTES)
        slashes = _SLASHES.search(sample) is not None
        quoted, day_first, month_first = b'"' in sample, False, False
        block = sample
        while block and not (quoted and not slashes):
            quoted = quoted or b'"' in block
            if slashes:
                day_first = day_first or _DAY_FIRST.search(block) is not None
                month_first = month_first or _MONTH_FIRST.search(block) is not None
            block = file.read(_BLOCK_BYTES)
    layout = replace(layout, day_first=day_first and not month_first, quoted=quoted)
    return layout, plan_parts(path, name, whole=quoted, part_bytes=part_bytes)


def read_rows(part: FilePart, layout: CsvLayout) -> Iterator[Rows]:
    """Read the rows that begin in a part, some thousands at a time; blank lines are no rows.

    Lines are counted from 1, the first line of the part.

    Raises:
        LogsluiceError: The file cannot be read to its end. What could be read before has been given already.
    """
    skipped = layout.header_lines if part.start == 0 else 0
    texts = (_texts(lines.values) for lines in read_part(part, rows=_ROWS))
    if layout.quoted:
        yield from _quoted(chain.from_iterable(texts), layout, skipped)
        return
    number = 1
    for block in texts:
        dropped, skipped = min(skipped, len(block)), max(0, skipped - len(block))
        yield _unquoted(block[dropped:], layout, number + dropped)
        number += len(block)


def parse_row(text: str, separator: str) -> list[str] | str:
    """The fields of a row, or what is wrong with it."""
    if '"' not in text:
        return text.split(separator)
    try:
        return next(csv.reader([text], delimiter=separator, strict=True), [])
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            return _OPEN_QUOTE
        if "expected after" in str(error):
            return "there is text behind a closing quote"
        return "has a line end outside of quotes"


def _texts(values: list[bytes]) -> list[str]:
    texts: list[str] = decode(pa.array(values, pa.binary())).texts.to_pylist()
    return texts


def _unquoted(texts: list[str], layout: CsvLayout, first_line: int) -> Rows:
    """Rows of lines without quotes, column by column."""
    frame = pl.DataFrame(
        {
            "line": pl.int_range(first_line, first_line + len(texts), dtype=pl.Int64, eager=True),
            "row": pl.Series(texts, dtype=pl.String),
        }
    ).filter(pl.col("row").str.strip_chars() != "")
    width = len(layout.header)
    separators = frame["row"].str.count_matches(layout.separator, literal=True)
    complete = separators >= width - 1 if _message_is_last(layout) else separators == width - 1
    unreadable = [
        UnreadableRow(line, _width_problem(count + 1, width), row)
        for (line, row), count in zip(frame.filter(~complete).iter_rows(), separators.filter(~complete), strict=True)
    ]
    frame = frame.filter(complete)
    fields = frame["row"].str.splitn(layout.separator, width).struct.unnest()
    return Rows(
        frame.with_columns(fields[f"field_{place}"].alias(name) for name, place in layout.columns.items()), unreadable
    )


def _quoted(texts: Iterator[str], layout: CsvLayout, skipped: int) -> Iterator[Rows]:
    """Rows of lines that may have quotes, row by row."""
    pending: list[str] = []
    number = 0

    def following() -> str | None:
        nonlocal number
        text = pending.pop() if pending else next(texts, None)
        number += text is not None
        return text

    for _ in range(skipped):
        following()
    found: list[tuple[int, str, list[str]]] = []
    unreadable: list[UnreadableRow] = []
    while (text := following()) is not None:
        if not text.strip():
            continue
        begin = number
        row, fields, continuation = _row(text, layout.separator, following)
        if isinstance(fields, str):
            # Only the line on which the row begins is lost; the others are read again.
            pending += reversed(continuation)
            number -= len(continuation)
            unreadable.append(UnreadableRow(begin, fields, text))
        else:
            fields = _aligned(fields, layout)
            if isinstance(fields, str):
                unreadable.append(UnreadableRow(begin, fields, row))
            else:
                found.append((begin, row, fields))
        if len(found) + len(unreadable) >= _ROWS:
            yield _as_rows(found, unreadable, layout)
            found, unreadable = [], []
    if found or unreadable:
        yield _as_rows(found, unreadable, layout)


def _row(text: str, separator: str, following: Callable[[], str | None]) -> tuple[str, list[str] | str, list[str]]:
    """A row that begins with a line: its text, its fields or what is wrong, and the further lines it has."""
    continuation: list[str] = []
    row = text
    fields = parse_row(row, separator)
    if fields != _OPEN_QUOTE:
        return row, fields, continuation
    size = len(row)
    while len(continuation) < _LONGEST_ROW_LINES and size < _LONGEST_ROW and (line := following()) is not None:
        continuation.append(line)
        size += len(line)
        if line.count('"') % 2 == 0:
            # Whatever it closes it opens again.
            continue
        row = "\n".join((text, *continuation))
        fields = parse_row(row, separator)
        if fields != _OPEN_QUOTE:
            return row, fields, continuation
    return text, _OPEN_QUOTE, continuation


def _as_rows(found: list[tuple[int, str, list[str]]], unreadable: list[UnreadableRow], layout: CsvLayout) -> Rows:
    columns = {
        "line": pl.Series([line for line, _, _ in found], dtype=pl.Int64),
        "row": pl.Series([row for _, row, _ in found], dtype=pl.String),
    }
    for name, place in layout.columns.items():
        columns[name] = pl.Series([fields[place] for _, _, fields in found], dtype=pl.String)
    return Rows(pl.DataFrame(columns), unreadable)


def _aligned(fields: list[str], layout: CsvLayout) -> list[str] | str:
    width = len(layout.header)
    if len(fields) == width:
        return fields
    if len(fields) > width and _message_is_last(layout):
        return [*fields[: width - 1], layout.separator.join(fields[width - 1 :])]
    return _width_problem(len(fields), width)


def _message_is_last(layout: CsvLayout) -> bool:
    """Separators that nobody quoted can only be part of a message in the last column."""
    return layout.columns["message"] == len(layout.header) - 1


def _width_problem(found: int, expected: int) -> str:
    return f"has {found} column{'s' if found != 1 else ''}, not {expected}"
