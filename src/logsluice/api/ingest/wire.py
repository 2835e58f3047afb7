"""Protobuf's wire format, as far as it takes to read a message in parts.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from google.protobuf.message import DecodeError

_VARINT: Final = 0
_FIXED: Final = {1: 8, 5: 4}
_LENGTH: Final = 2
_LONGEST_VARINT: Final = 10


def messages(content: bytes, number: int) -> Iterator[bytes]:
    """The messages (or texts) in the field of a message with this number, in their order; other fields are passed over.

    Raises:
        DecodeError: It is no message.
    """
    position, end = 0, len(content)
    while position < end:
        tag, position = _varint(content, position)
        kind = tag & 7
        if kind == _LENGTH:
            size, position = _varint(content, position)
            if size > end - position:
                raise DecodeError("a field is cut off")
            if tag >> 3 == number:
                yield content[position : position + size]
            position += size
        elif kind == _VARINT:
            _, position = _varint(content, position)
        elif kind in _FIXED:
            position += _FIXED[kind]
            if position > end:
                raise DecodeError("a field is cut off")
        else:
            raise DecodeError(f"there is no wire type {kind}")


def _varint(content: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 7 * _LONGEST_VARINT, 7):
        if position >= len(content):
            raise DecodeError("a number is cut off")
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise DecodeError("a number is too long")
