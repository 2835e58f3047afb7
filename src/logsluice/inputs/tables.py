"""Rows of files that name their columns in lines of their own, as JSON objects that say what each value is.

A row tells nothing by itself: the lines above it do. So it is turned into an object of its columns where the file is
read, by ``ship`` as by ``extract``, and whoever reads it later, alone and in any order, finds the same in it. Its own
text is the object's ``message``. A row that has another number of columns than were named stays as it is, and so do all
rows behind a header that cannot be read.

Sources: the W3C's "Extended Log File Format" (working draft 960323: times are in UTC), IIS, AWS CloudFront and
Exchange, whose ``#Fields:`` are separated by blanks, tabs or commas; Zeek's ``#separator``, ``#fields``,
``#empty_field`` and ``#unset_field``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from logsluice.event.limits import MAX_VALUE_BYTES
from logsluice.inputs.files import Line, is_compressed, read_lines, reading, split_lines

HEAD_BYTES: Final = 64 * 1024
"""The first header of a file begins before this offset, or the file has none."""

_W3C: Final = b"#Fields:"
_HEADER: Final = re.compile(rb"^#(?:Fields:|fields(?![A-Za-z0-9]))", re.MULTILINE)
_BLOCK_BYTES: Final = 1 << 20
_MOST_REMARK_BYTES: Final = 4_096
"""How far the other lines of a header may stand before the one that has the names."""
_MOST_REMARKS: Final = 50
_LONGEST_HEADER: Final = 32 * 1024
_LONGEST_MARK: Final = 16
_MOST_COLUMNS: Final = 300
_NAME: Final = re.compile(r"[A-Za-z_@][^\s\x00-\x1f\"]{0,99}")
_CELL: Final = re.compile(r'"((?:[^"]|"")*)"|(\S+)')
_ESCAPE: Final = re.compile(r"\\x([0-9A-Fa-f]{2})")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK: Final = re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?")
_ZEEK_REMARK: Final = re.compile(r"#([a-z_]+).(.*)")
_DATE_REMARK: Final = re.compile(r"#Date: *[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_DURATION: Final = re.compile(r"[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class _Columns:
    """What a header says of the rows behind it.

    Attributes:
        separator: Between two values; None where blanks or tabs are, and quotes count.
        unset: How a value is written that is not there.
        zeek: Whether it is Zeek's: its times are numbers, its texts have escapes.
        began: When the file was begun, as ``#Date:`` says.
    """

    names: tuple[str, ...]
    separator: str | None
    unset: frozenset[str] = frozenset("-")
    zeek: bool = False
    began: str = ""

    def object_of(self, data: bytes) -> bytes | None:
        """A row as JSON; None where it has not the columns."""
        text = data.decode("utf-8", "replace")
        values = self._values(text)
        if len(values) != len(self.names):
            return None
        cells = {
            name: _unescaped(value) if self.zeek else value
            for name, value in zip(self.names, values, strict=True)
            if value and value not in self.unset
        }
        if not self.zeek:
            _put_time(cells, self.began)
            _put_unit(cells)
            if (port := cells.pop("s-port", None)) is not None:
                # The server's here; elsewhere "sport" is the source's.
                cells["server-port"] = port
        return orjson.dumps({"message": text, **cells})

    def _values(self, text: str) -> list[str]:
        if self.separator == ",":
            return next(csv.reader([text]), [])
        if self.separator is not None:
            return text.split(self.separator)
        if "\t" in text:
            return text.split("\t")
        if '"' not in text:
            return text.split()
        return [quoted.replace('""', '"') if bare is None else bare for quoted, bare in _cells(text)]


def _cells(text: str) -> list[tuple[str, str | None]]:
    return [(match[1] or "", match[2]) for match in _CELL.finditer(text)]


def _put_time(cells: dict[str, str], began: str) -> None:
    """Put together what the specification's date and time say, which are UTC's."""
    clock = cells.get("time", "")
    if not _CLOCK.fullmatch(clock):
        return
    date = cells.get("date", "")
    if not date and began[11:19] and began[11:19] <= clock:
        date = began[:10]
    if _DATE.fullmatch(date):
        cells.pop("date", None)
        del cells["time"]
        cells["@timestamp"] = f"{date}T{clock}Z"


def _put_unit(cells: dict[str, str]) -> None:
    """Say what a time taken is measured in: milliseconds (IIS), in decimals seconds (the specification, CloudFront)."""
    if (match := _DURATION.fullmatch(cells.get("time-taken", ""))) is not None:
        cells["time-taken"] += "s" if match[1] else "ms"


class TableRows:
    """Reads the lines of a file in order; knows the columns that its rows have by then."""

    def __init__(self) -> None:
        self._columns: _Columns | None = None
        self._named = False
        self._remarks: list[str] = []
        self._read_bytes = 0

    @classmethod
    def at(cls, path: Path, start: int) -> TableRows:
        """What is known before the line that begins at an offset.

        Raises:
            FileError: The file cannot be read.
        """
        rows = cls()
        rows._read_bytes = start
        if not start:
            return rows
        with reading(path), path.open("rb") as raw:
            if is_compressed(raw):
                lines = (line for line in read_lines(path) if line.data.startswith(b"#"))
                for line in takewhile(lambda line: line.offset < start, lines):
                    rows.read(line)
            elif _HEADER.search(raw.read(HEAD_BYTES)[:start]):
                rows._named = True
                begin = max(0, _last_header(raw, start) - _MOST_REMARK_BYTES)
                raw.seek(begin)
                block = raw.read(_MOST_REMARK_BYTES + _LONGEST_HEADER)
                whole = block[: block.rfind(b"\n") + 1]
                for line in takewhile(lambda line: line.offset < start, split_lines([whole], begin)):
                    rows.read(line)
        return rows

    def read(self, line: Line) -> Line:
        """The next line: a row as the JSON object of its columns, any other as it is."""
        data = line.data
        if data[:1] == b"#":
            self._read_remark(data, line.offset)
            return line
        if self._remarks:
            self._remarks = []
        if self._columns is None or line.headers:
            return line
        row = self._columns.object_of(data)
        return line if row is None or len(row) > MAX_VALUE_BYTES else line._replace(data=row)

    def read_values(self, values: Sequence[bytes], cut: Container[int] = ()) -> list[bytes]:
        """The next lines or events by their texts alone; those at the places ``cut`` stay as they are."""
        rows = []
        for place, value in enumerate(values):
            line = Line(value, self._read_bytes, self._read_bytes + len(value) + 1)
            rows.append(value if place in cut else self.read(line).data)
            self._read_bytes = line.end
        return rows

    def _read_remark(self, data: bytes, offset: int) -> None:
        text = data.decode("utf-8", "replace")
        if _HEADER.match(data) and (self._named or offset < HEAD_BYTES):
            self._named = True
            self._columns = (_w3c if data.startswith(_W3C) else _zeek)(text, self._remarks)
        self._remarks = [*self._remarks[-_MOST_REMARKS:], text]


def _last_header(raw: BinaryIO, start: int) -> int:
    """Where the last header begins before an offset; there is one."""
    position = start
    while position > 0:
        begin = max(0, position - _BLOCK_BYTES)
        raw.seek(begin)
        block = raw.read(position - begin + _LONGEST_MARK)
        # What begins with the block may be the middle of a line.
        found = [match.start() for match in _HEADER.finditer(block, 1 if begin else 0)]
        if places := [begin + place for place in found if begin + place < start]:
            return places[-1]
        position = begin
    return 0


def _w3c(header: str, remarks: Sequence[str]) -> _Columns | None:
    text = header.removeprefix("#Fields:").strip()
    separator = "," if "," in text and not re.search(r"\s", text) else None
    names = tuple(re.split(r"," if separator else r"\s+", text))
    began = next((match[0] for remark in reversed(remarks) if (match := _DATE_REMARK.match(remark))), "")
    return _Columns(names, separator, began=began.removeprefix("#Date:").strip()) if _are_names(names) else None


def _zeek(header: str, remarks: Sequence[str]) -> _Columns | None:
    said = {"separator": header[7:8], "unset_field": "-", "empty_field": "(empty)"}
    for match in filter(None, map(_ZEEK_REMARK.fullmatch, remarks)):
        said[match[1]] = _unescaped(match[2]) if match[1] == "separator" else match[2]
    separator = said["separator"]
    names = tuple(header.split(separator)[1:]) if separator else ()
    unset = frozenset((said["unset_field"], said["empty_field"]))
    return _Columns(names, separator, unset, zeek=True) if _are_names(names) else None


def _are_names(names: Sequence[str]) -> bool:
    return 1 < len(names) <= _MOST_COLUMNS and all(map(_NAME.fullmatch, names)) and len(set(names)) == len(names)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
