"""The size limit of an event: a longer value is cut on input, its length and hash kept in headers.

A topic takes records of 1 MiB with key and headers, so a value may have 1,000,000 bytes.
"""

from __future__ import annotations

import hashlib
from typing import Final

MAX_VALUE_BYTES: Final = 1_000_000
ORIGINAL_LENGTH: Final = "logsluice-original-length"
ORIGINAL_SHA256: Final = "logsluice-original-sha256"

Headers = tuple[tuple[str, bytes], ...]


def cut(value: bytes) -> tuple[bytes, Headers]:
    """Cut a value to what a record takes.

    Returns:
        The value, or its beginning up to a character's end within the limit, and the record headers that tell
        the length in bytes and the SHA-256 (hexadecimal) of the whole; no headers where nothing was cut.
    """
    if len(value) <= MAX_VALUE_BYTES:
        return value, ()
    return _beginning(value), _headers(len(value), hashlib.sha256(value).hexdigest())


class GrowingValue:
    """A value that arrives in pieces, of which no more is kept than a record takes."""

    def __init__(self) -> None:
        self._content = bytearray()
        self._length = 0
        self._digest = hashlib.sha256()
        self._last = b""

    def __len__(self) -> int:
        return self._length

    def add(self, piece: bytes) -> None:
        """Append a piece."""
        if not piece:
            return
        # One byte more than fits: it may be the carriage return that is dropped at the end.
        self._content += (
            piece[: MAX_VALUE_BYTES + 1 - len(self._content)] if len(self._content) <= MAX_VALUE_BYTES else b""
        )
        self._length += len(piece)
        self._digest.update(self._last)
        self._digest.update(memoryview(piece)[:-1])
        self._last = piece[-1:]

    def finish(self) -> tuple[bytes, Headers]:
        """The value without one trailing carriage return, cut as :func:`cut` does."""
        length = self._length
        if self._last == b"\r":
            length -= 1
        else:
            self._digest.update(self._last)
        if length <= MAX_VALUE_BYTES:
            return bytes(self._content[:length]), ()
        return _beginning(bytes(self._content)), _headers(length, self._digest.hexdigest())


def _beginning(value: bytes) -> bytes:
    """The longest beginning within the limit that does not end inside a UTF-8 character."""
    end = MAX_VALUE_BYTES
    for back in range(1, 4):
        byte = value[end - back]
        if byte < 0x80:
            break
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return value[: end - back] if needed > back else value[:end]
    return value[:end]


def _headers(length: int, digest: str) -> Headers:
    return (ORIGINAL_LENGTH, str(length).encode()), (ORIGINAL_SHA256, digest.encode())
