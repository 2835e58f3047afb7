"""Decoding of raw bytes as text, and the tags and reasons that are given to a line besides its facts."""

from __future__ import annotations

import base64
import re
from typing import Final, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from logsluice.formats.timestamps import AMBIGUOUS, DATELESS, ZONE_UNKNOWN

TOMBSTONE: Final = "tombstone"
EMPTY: Final = "empty"
INVALID_JSON: Final = "invalid_json"
REGEX_TIMEOUT: Final = "regex_timeout"

INVALID_UTF8: Final = "invalid_utf8"
CUT: Final = "cut"
WRONG_TYPE: Final = "wrong_type"
TIMESTAMP_FUTURE: Final = "timestamp_future"
TIMESTAMP_EPOCH: Final = "timestamp_epoch"
PARTIAL: Final = "partial"
TIMESTAMP_MISSING: Final = "timestamp_missing"
"""The event says no time; it has that of its reading."""
TIMESTAMP_ZONE_UNKNOWN: Final = "timestamp_zone_unknown"
"""The zone that the event names is not known or one of several; the configured one was taken."""
TIMESTAMP_AMBIGUOUS: Final = "timestamp_ambiguous"
"""The event's date can be read in more ways than one (order of day, month and year), or it has none but a time."""

BLANK: Final = " \t\r\n\x0b\x0c\x00"
"""A line of nothing but these is empty."""

FUTURE_MICROS: Final = 86_400_000_000
"""An event dated more than a day after it was seen is remarked on."""

EPOCH_MICROS: Final = 86_400_000_000
"""So is one of the epoch's first day, which is what an unset clock shows."""

JSON_BEGINNING: Final = r"\A\{[ \t\r\n]*\""
"""What begins like this claims to be JSON, and is rejected where it is not."""

COLOURS: Final = r"(?:\x1b|#033|\\x1b|\\u001b|\\033|\\e)\[[0-9;]*[A-Za-z]"
"""Control sequences of a terminal (ECMA-48, 5.4), as loggers write them for colours, the escape itself or as
rsyslog (``#033``) and languages write it."""

ESCAPES: Final = ("#033[", r"\x1b[", r"\x1B[", r"\u001b[", r"\u001B[", r"\033[", r"\e[", "^[[")
"""How the beginning of such a sequence is written out: by rsyslog (``$EscapeControlCharactersOnReceive``), C, JSON,
cat."""

ESCAPED_COLOURS: Final = rf"(?:{'|'.join(map(re.escape, ESCAPES))})[0-9;]*[A-Za-z]"
"""The same sequences, written out."""

ESCAPED_TRACE: Final = "#012#011"
"""rsyslog's line feed and tab: the lines of a stack trace in one message."""

_COLOURS: Final = re.compile(COLOURS)
_ESCAPED_COLOURS: Final = re.compile(ESCAPED_COLOURS)
_JSON_BEGINNING: Final = re.compile(JSON_BEGINNING)
_BYTE_ORDER_MARK: Final = "\ufeff"
_LINE_ENDS: Final = "\r\n"


class Decoded(NamedTuple):
    """Lines as text.

    Attributes:
        texts: Undecodable bytes are U+FFFD; null for a tombstone.
        undecodable: Base64 of the original bytes by row, of lines that are not UTF-8.
    """

    texts: pa.Array
    undecodable: dict[int, str]


def decode(values: pa.Array) -> Decoded:
    """Decode UTF-8, whole columns at a time as long as all of it is valid."""
    try:
        return Decoded(pc.cast(values, pa.large_string()), {})
    except pa.ArrowInvalid:
        pass
    texts: list[str | None] = []
    undecodable: dict[int, str] = {}
    for row, value in enumerate(values.to_pylist()):
        try:
            texts.append(None if value is None else value.decode())
        except UnicodeDecodeError:
            texts.append(value.decode(errors="replace"))
            undecodable[row] = base64.b64encode(value).decode()
    return Decoded(pa.array(texts, pa.large_string()), undecodable)


def bare(text: str) -> str:
    """The text without what is no part of it.

    That is a terminal's colours, a byte order mark in front, line ends behind, and the NULs that a file has which was
    truncated under its writer (logrotate's ``copytruncate``). Of a trace in one message the lines are put apart.
    """
    text = _ESCAPED_COLOURS.sub("", _COLOURS.sub("", text))
    if ESCAPED_TRACE in text:
        text = text.replace("#012", "\n").replace("#011", "\t")
    return text.strip("\0").removeprefix(_BYTE_ORDER_MARK).rstrip(_LINE_ENDS)


def bare_column(texts: pl.Series) -> pl.Series:
    """:func:`bare` of a column."""
    texts = texts.str.replace_all(COLOURS, "")
    if texts.str.contains_any(list(ESCAPES)).any():
        texts = texts.str.replace_all(ESCAPED_COLOURS, "")
    traces = texts.str.contains(ESCAPED_TRACE, literal=True)
    if traces.any():
        apart = texts.str.replace_all("#012", "\n", literal=True).str.replace_all("#011", "\t", literal=True)
        texts = apart.zip_with(traces.fill_null(False), texts)
    return texts.str.strip_chars("\0").str.strip_prefix(_BYTE_ORDER_MARK).str.strip_chars_end(_LINE_ENDS)


def claims_json(text: str) -> bool:
    """Whether a text begins as a JSON object does."""
    return _JSON_BEGINNING.match(text) is not None


def timestamp_tags(instant_micros: int, remarks: int, reference_ms: int) -> list[str]:
    """The remarks on an event's own timestamp.

    Args:
        instant_micros: Microseconds since the epoch.
        remarks: How certain it is, as :class:`logsluice.formats.timestamps.Reading` has it.
        reference_ms: When the event was seen, milliseconds since the epoch.
    """
    tags = []
    if instant_micros > reference_ms * 1000 + FUTURE_MICROS:
        tags.append(TIMESTAMP_FUTURE)
    elif 0 <= instant_micros < EPOCH_MICROS:
        tags.append(TIMESTAMP_EPOCH)
    if remarks & ZONE_UNKNOWN:
        tags.append(TIMESTAMP_ZONE_UNKNOWN)
    if remarks & (AMBIGUOUS | DATELESS):
        tags.append(TIMESTAMP_AMBIGUOUS)
    return tags
