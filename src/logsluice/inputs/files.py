"""Lines of files: plain, gzip, zstd or UTF-16, with the byte offset of each, in bounded memory.

Only a line feed ends a line; a carriage return before it is dropped. Other separators (form feed, U+2028)
are part of the line.
"""

from __future__ import annotations

import codecs
import glob
import gzip
import io
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, cast

import zstandard

from logsluice.errors import LogsluiceError
from logsluice.event.limits import MAX_VALUE_BYTES, GrowingValue, Headers, cut

if TYPE_CHECKING:
    from typing_extensions import Buffer

STDIN: Final = "-"
_BLOCK_BYTES: Final = 256 * 1024
_COMPRESSED_BLOCK_BYTES: Final = 16 * 1024
_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"


class FileError(LogsluiceError):
    """Something is wrong with one file; others can be read all the same."""


class Line(NamedTuple):
    """One line of a file.

    Attributes:
        data: The line without its end, cut to what a record takes.
        offset: Where it begins, in bytes of the uncompressed file.
        end: Where the next one begins.
        headers: Length and hash of the original where it was cut.
    """

    data: bytes
    offset: int
    end: int
    headers: Headers = ()


class LineSplitter:
    """Cuts blocks of bytes into lines; an unfinished last line waits for the next block."""

    def __init__(self, start: int = 0) -> None:
        self._offset = start
        self._rest: GrowingValue | None = None

    @property
    def offset(self) -> int:
        """Where the next line begins."""
        return self._offset

    @property
    def unfinished_bytes(self) -> int:
        """How much of a line without an end is held."""
        return len(self._rest) if self._rest else 0

    def feed(self, block: bytes) -> list[Line]:
        """The lines that this block ends."""
        pieces = block.split(b"\n")
        rest = pieces.pop()
        lines: list[Line] = []
        offset = self._offset
        if pieces and self._rest:
            self._rest.add(pieces[0])
            data, headers = self._rest.finish()
            end = offset + len(self._rest) + 1
            lines.append(Line(data, offset, end, headers))
            offset = end
            self._rest = None
            del pieces[0]
        for piece in pieces:
            end = offset + len(piece) + 1
            data = piece[:-1] if piece.endswith(b"\r") else piece
            if len(data) > MAX_VALUE_BYTES:
                lines.append(Line(data=(shortened := cut(data))[0], offset=offset, end=end, headers=shortened[1]))
            else:
                lines.append(Line(data, offset, end))
            offset = end
        self._offset = offset
        if rest:
            if self._rest is None:
                self._rest = GrowingValue()
            self._rest.add(rest)
        return lines

    def finish(self) -> list[Line]:
        """The last line, where the input did not end with a line feed."""
        if self._rest is None:
            return []
        data, headers = self._rest.finish()
        line = Line(data, self._offset, self._offset + len(self._rest), headers)
        self._offset = line.end
        self._rest = None
        return [line]


def split_lines(blocks: Iterable[bytes], start: int = 0) -> Iterator[Line]:
    """Cut a stream of blocks, whose first byte is at ``start``, into lines."""
    splitter = LineSplitter(start)
    for block in blocks:
        yield from splitter.feed(block)
    yield from splitter.finish()


def read_lines(path: Path | None, start: int = 0) -> Iterator[Line]:
    """Read the lines of a file.

    Args:
        path: The file, plain or compressed; ``None`` is standard input.
        start: Offset in the uncompressed file to begin at.

    Raises:
        FileError: The file cannot be opened or read, or its compression is damaged.
    """
    return split_lines(read_blocks(path, start), start)


def read_blocks(path: Path | None, start: int = 0) -> Iterator[bytes]:
    """Read a file, uncompressed, block by block from ``start``; raises as :func:`read_lines`."""
    with reading(path), open_bytes(path) as stream:
        skip(stream, start)
        while block := stream.read(_BLOCK_BYTES):
            yield block


def open_bytes(path: Path | None) -> BinaryIO:
    """Open a file (``None``: standard input) for its bytes, uncompressing what begins like gzip or zstd."""
    if path is None:
        return uncompressed(cast("io.BufferedReader", sys.stdin.buffer))
    return uncompressed(path.open("rb"))


def is_compressed(stream: io.BufferedReader) -> bool:
    """Whether the stream, which stays where it is, begins like gzip, zstd or UTF-16."""
    return begins_compressed(stream.peek(len(_ZSTD_MAGIC)))


def begins_compressed(block: bytes) -> bool:
    """Whether these first bytes are those of gzip, zstd or UTF-16: of what has to be read from its beginning."""
    return block.startswith((_GZIP_MAGIC, _ZSTD_MAGIC)) or _utf16(block) is not None


def uncompressed(stream: io.BufferedReader) -> BinaryIO:
    """The content of a stream that begins like gzip or zstd, UTF-16 as UTF-8; any other stream as it is."""
    magic = stream.peek(4)[:4]
    content = stream
    if magic.startswith(_GZIP_MAGIC):
        content = cast("io.BufferedReader", gzip.GzipFile(fileobj=stream))
    elif magic == _ZSTD_MAGIC:
        content = io.BufferedReader(_Zstd(stream), _BLOCK_BYTES)
    # No further buffer around it: filling one loses, where the data is damaged, what could be read before.
    if codec := _utf16(content.peek(4)[:4]):
        return cast("BinaryIO", io.BufferedReader(_Utf8(content, codec), _BLOCK_BYTES))
    return content


def _utf16(block: bytes) -> str | None:
    """The codec of what begins with UTF-16's byte order mark, or with two ASCII characters in it."""
    if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if len(block) < 4:
        return None
    first, second = block[0::2][:2], block[1::2][:2]
    if second == b"\0\0" and first.isascii() and b"\0" not in first:
        return "utf-16-le"
    return "utf-16-be" if first == b"\0\0" and second.isascii() and b"\0" not in second else None


class _Decoded(io.RawIOBase):
    """The content of a stream that has to be decoded block by block."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._pending = memoryview(b"")

    def _next(self) -> bytes | None:
        """Some more content, which may be nothing yet; None at the end."""
        raise NotImplementedError

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        target = memoryview(buffer).cast("B")
        while not self._pending:
            content = self._next()
            if content is None:
                return 0
            self._pending = memoryview(content)
        count = min(len(target), len(self._pending))
        target[:count] = self._pending[:count]
        self._pending = self._pending[count:]
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Utf8(_Decoded):
    """Text in another encoding as UTF-8; what is none of its characters becomes U+FFFD."""

    def __init__(self, stream: BinaryIO, codec: str) -> None:
        super().__init__(stream)
        self._decoder = codecs.getincrementaldecoder(codec)("replace")

    def _next(self) -> bytes | None:
        block = self._stream.read(_COMPRESSED_BLOCK_BYTES)
        content = self._decoder.decode(block or b"", final=not block).encode("utf-8", "replace")
        return content if block or content else None


class _Zstd(_Decoded):
    """Uncompresses zstd frames; the library's own reader takes a file that was cut off for a whole one."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self._frame: zstandard.ZstdDecompressionObj | None = None

    def _next(self) -> bytes | None:
        block = (self._frame.unused_data if self._frame and self._frame.eof else b"") or self._stream.read(
            _COMPRESSED_BLOCK_BYTES
        )
        if not block:
            if self._frame and not self._frame.eof:
                raise EOFError("the file ends before its compressed data does")
            return None
        if self._frame is None or self._frame.eof:
            self._frame = zstandard.ZstdDecompressor().decompressobj()
        return self._frame.decompress(block)


def skip(stream: BinaryIO, count: int) -> None:
    """Move ``count`` bytes on, by reading where the stream cannot seek."""
    if isinstance(stream, io.BufferedReader) and stream.seekable():
        stream.seek(count)
        return
    while count > 0 and (block := stream.read(min(count, _BLOCK_BYTES))):
        count -= len(block)


class reading:  # noqa: N801 - reads as a statement
    """Turns what can go wrong while a file is read into one line for the user."""

    def __init__(self, path: Path | None) -> None:
        self._where = str(path or "standard input")

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        match error:
            case FileNotFoundError():
                raise FileError("there is no such file", where=self._where) from None
            case IsADirectoryError():
                raise FileError(
                    "is a folder", where=self._where, hint=f"name its files, as in '{self._where}/*.log'"
                ) from None
            case gzip.BadGzipFile() | EOFError() | zlib.error() | zstandard.ZstdError():
                raise FileError("its compressed data is damaged", where=self._where, why=str(error)) from None
            case OSError():
                raise FileError("cannot be read", where=self._where, why=error.strerror) from None


def spooled_copy(name: str, folder: Path) -> Path:
    """A copy of what can be read once only (``-``: standard input), which can be cut into parts and tried again."""
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as copy:
        if name == STDIN:
            shutil.copyfileobj(sys.stdin.buffer, copy)
        else:
            with Path(name).open("rb") as source:
                shutil.copyfileobj(source, copy)
    return Path(copy.name)


def expand(patterns: Iterable[str]) -> list[str]:
    """File names for file names, globs (``**`` included) and ``-``, in the order given, each once.

    A name without a match is kept, so that whoever opens it can say so.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        if pattern == STDIN or path_exists(pattern) or not glob.has_magic(pattern):
            found[pattern] = None
            continue
        matches = [name for name in sorted(glob.glob(pattern, recursive=True)) if Path(name).is_file()]  # noqa: PTH207
        found.update(dict.fromkeys(matches or [pattern]))
    return list(found)


def path_exists(name: str) -> bool:
    """Whether there is something of this name that can be seen; no name is too long or too odd to ask."""
    return os.path.exists(name)  # noqa: PTH110 - pathlib raises where the answer is no
