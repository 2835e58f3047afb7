"""Splits of files: byte ranges that workers read on their own, and the whole lines that begin in each.

A part of a plain file is a range of bytes; a line belongs to the part in which it begins, wherever that part
was cut. A compressed file cannot be entered in the middle, so it is one part.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import BinaryIO

from logsluice.event.limits import GrowingValue, Headers
from logsluice.inputs.files import is_compressed, open_bytes, read_lines, reading
from logsluice.inputs.streams import StreamJoiner, join

PART_BYTES = 16 << 20
"""Bytes of a part, about."""

LONGEST_LINE = 16 << 20
"""A longer line is cut like a value for Kafka, so that a file without line feeds does not fill a worker's
memory."""

_BLOCK_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class FilePart:
    """A range of a file's bytes.

    Attributes:
        name: What the user calls it.
        end: Byte after the last; None for a compressed file, which is read whole.
        size: Bytes on disk, for progress.
        modified_ms: The file's modification time, milliseconds since the epoch.
    """

    path: Path
    name: str
    start: int
    end: int | None
    size: int
    modified_ms: int


@dataclass(slots=True)
class LineBlock:
    """Whole lines, or events joined from several, in order and without their ends.

    Attributes:
        cut: The headers that tell length and hash of those that were too long, by their places.
        joined_lines: How many more lines there were than events.
        left_out: Blank lines that belong to no event and are not among the values.
    """

    values: list[bytes]
    cut: dict[int, Headers]
    joined_lines: int = 0
    left_out: int = 0


def plan_parts(path: Path, name: str, *, whole: bool = False, part_bytes: int = PART_BYTES) -> list[FilePart]:
    """Cut a file into parts; an empty file has none.

    Raises:
        LogsluiceError: The file is not there, is a folder, or cannot be read.
    """
    with reading(Path(name)), path.open("rb") as file:
        status = path.stat()
        size, modified = status.st_size, status.st_mtime_ns // 1_000_000
        if is_compressed(file):
            return [FilePart(path, name, 0, None, size, modified)]
    count = 1 if whole else max(1, round(size / part_bytes))
    cuts = [size * number // count for number in range(count + 1)]
    return [FilePart(path, name, start, end, end - start, modified) for start, end in pairwise(cuts) if start < end]


def read_part(part: FilePart, *, rows: int, longest_line: int = LONGEST_LINE) -> Iterator[LineBlock]:
    """Read the lines that begin in a part, a block at a time.

    Only a line feed ends a line; one carriage return before it is dropped.

    Args:
        longest_line: Bytes of a line at most; a longer one is cut.

    Raises:
        LogsluiceError: The file cannot be read, or its compression is damaged. What could be read before
            has been given already.
    """
    path = Path(part.name)
    with reading(path):
        file = open_bytes(part.path) if part.end is None else part.path.open("rb")
    with closing(file):
        blocks = _stream(file) if part.end is None else _range(file, part.start, part.end)
        yield from _lines(_guarded(blocks, path), rows, longest_line)


def read_events(part: FilePart, *, rows: int) -> Iterator[LineBlock]:
    """Read a whole file, with the lines of one event (a stack trace) joined; otherwise like
    :func:`read_part`."""
    joiner = StreamJoiner()
    events = join(read_lines(part.path), joiner)
    blank = 0
    while block := list(islice(events, rows)):
        cut = {row: event.headers for row, event in enumerate(block) if event.headers}
        more = sum(event.lines - 1 for event in block)
        yield LineBlock([event.value for event in block], cut, more, joiner.blank - blank)
        blank = joiner.blank
    if joiner.blank > blank:
        yield LineBlock([], {}, left_out=joiner.blank - blank)


def _guarded(blocks: Iterator[bytes], path: Path) -> Iterator[bytes]:
    """Turn what can go wrong in reading, and nothing else, into a line for the user."""
    while True:
        with reading(path):
            block = next(blocks, None)
        if block is None:
            return
        yield block


def _stream(file: BinaryIO) -> Iterator[bytes]:
    """Blocks of a compressed file; where it is damaged, what could be read comes before the error."""
    block = bytearray()
    try:
        while piece := file.read1(_BLOCK_BYTES):  # type: ignore[attr-defined]
            block += piece
            if len(block) >= _BLOCK_BYTES:
                yield bytes(block)
                block.clear()
    except Exception:
        yield bytes(block)
        raise
    yield bytes(block)


def _range(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    """The bytes of the lines that begin in a range: from the first line's begin to the last line's end."""
    file.seek(max(start - 1, 0), io.SEEK_SET)
    if start:
        # Whatever line the byte before the range belongs to is read by the part before.
        _drain(file)
    last = b"\n"
    while (position := file.tell()) < end and (block := file.read(min(_BLOCK_BYTES, end - position))):
        last = block[-1:]
        yield block
    while last != b"\n" and (block := file.readline(_BLOCK_BYTES)):
        last = block[-1:]
        yield block


def _drain(file: BinaryIO) -> None:
    while (piece := file.readline(_BLOCK_BYTES)) and not piece.endswith(b"\n"):
        pass


def _lines(blocks: Iterable[bytes], rows: int, longest_line: int) -> Iterator[LineBlock]:
    begun = bytearray()
    growing: GrowingValue | None = None
    for block in blocks:
        values = block.split(b"\n")
        rest = values.pop()
        cut: dict[int, Headers] = {}
        if values and growing is not None:
            growing.add(values[0])
            values[0], cut[0] = growing.finish()
            growing = None
        elif values and begun:
            values[0] = bytes(begun) + values[0]
            begun.clear()
        if b"\r" in block or (values and values[0].endswith(b"\r")):
            values = [value[:-1] if value.endswith(b"\r") else value for value in values]
        yield from _in_blocks(LineBlock(values, cut), rows)
        if growing is not None:
            growing.add(rest)
            continue
        begun += rest
        if len(begun) > longest_line:
            growing = GrowingValue()
            growing.add(bytes(begun))
            begun.clear()
    if growing is not None:
        value, headers = growing.finish()
        yield LineBlock([value], {0: headers})
    elif begun:
        yield LineBlock([bytes(begun).removesuffix(b"\r")], {})


def _in_blocks(lines: LineBlock, rows: int) -> Iterator[LineBlock]:
    if len(lines.values) <= rows:
        if lines.values:
            yield lines
        return
    for start in range(0, len(lines.values), rows):
        yield LineBlock(lines.values[start : start + rows], lines.cut if start == 0 else {})
