"""Where a page ended, so that the next one goes on there however deep it lies: an opaque text for clients.

A cursor belongs to its question: with another one it would skip or repeat events without a word, so it is refused.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from logsluice.errors import LogsluiceError

LONGEST_CURSOR: Final = 1_000
_MARK_LENGTH: Final = 12


class Position(NamedTuple):
    """The last event of a page, newest first, then by id: its ``@timestamp`` (milliseconds since the epoch) and id."""

    timestamp_ms: int
    event_id: str


def write_cursor(position: Position, question: Mapping[str, Any]) -> str:
    """The cursor for the page after a position, of a question whatever page of it."""
    content = orjson.dumps([_mark(question), position.timestamp_ms, position.event_id])
    return urlsafe_b64encode(content).decode().rstrip("=")


def read_cursor(cursor: str, question: Mapping[str, Any]) -> Position:
    """Where the page before ended.

    Raises:
        LogsluiceError: The text is no cursor, or one of another question.
    """
    try:
        if len(cursor) > LONGEST_CURSOR:
            raise ValueError(cursor)
        content = orjson.loads(b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        mark, timestamp_ms, event_id = content
    except (ValueError, TypeError):
        raise _refused("no cursor") from None
    if type(timestamp_ms) is not int or not isinstance(event_id, str):
        raise _refused("no cursor")
    if mark != _mark(question):
        raise _refused("a cursor of another question")
    return Position(timestamp_ms, event_id)


def _refused(problem: str) -> LogsluiceError:
    return LogsluiceError(
        problem, where="cursor", hint="take it as it is from the answer before, and ask the same again"
    )


def _mark(question: Mapping[str, Any]) -> str:
    """A short text that two different questions do not share by accident."""
    content = orjson.dumps(question, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content).hexdigest()[:_MARK_LENGTH]
