"""JSON events, one object a line."""

from __future__ import annotations

import ast
import json
import math
import re
import warnings
from collections.abc import Iterable
from typing import Any, Final

import orjson

from logsluice.formats.keyed import KeyedEvent, Pairs, keyed_event
from logsluice.formats.model import Format
from logsluice.vocabulary.key_folding import fold

_MAX_DEPTH = 16
"""Objects nested deeper stay JSON text."""

_LONGEST_REPR: Final = 100_000
"""Characters of a dictionary as Python prints it; what is longer is not read."""

_LISTS_OF_RECORDS: Final = frozenset(
    ["resourceLogs", "scopeLogs", "instrumentationLibraryLogs", "logRecords", "Records", "records", "logEvents"]
)
"""Lists that hold records: one alone is the event itself (OpenTelemetry's protocol, AWS, Azure)."""

_ANY_VALUE: Final = frozenset(["stringValue", "intValue", "doubleValue", "boolValue"])
"""How OpenTelemetry's protocol writes a value: an object of its type's name."""

_SPEAKING: Final = frozenset(["message", "msg", "body", "textpayload", "text"])
"""Folded keys whose text may be an event of its own, as JSON or (in the journal) as a list of bytes."""

MOST_DIGITS: Final = 18
"""Of a whole number that every reader of JSON takes as it is."""

_NUMBER: Final = re.compile(rf"-?(?:0|[1-9][0-9]{{0,{MOST_DIGITS - 1}}})(?:\.[0-9]{{1,{MOST_DIGITS}}})?")

_LENIENT: Final = json.JSONDecoder(strict=False)


def read_json(text: str, formats: Iterable[Format]) -> KeyedEvent | None:
    """Read a JSON object.

    Also one with ``NaN`` or ``Infinity``, line feeds within texts, or other text behind it, and a dictionary as Python
    prints it. A message that is itself a JSON object is read as the event, and what is around it as further keys.

    Args:
        text: The whole event.
        formats: Those of the kind ``json``, in order of precedence.

    Returns:
        None where the text does not begin with a JSON object (also one nested too deep to be read, or with half of a
        surrogate pair), or no format fits. Of a key given twice the last holds.
    """
    pairs = json_pairs(text)
    return None if pairs is None else keyed_event(*pairs, formats)


def json_pairs(text: str) -> Pairs | None:
    """The keys and values of a JSON object, read as :func:`read_json` does; None where there is no object."""
    value = _object(text)
    if value is None:
        return None
    texts: dict[str, str] = {}
    numbers: set[str] = set()
    _flatten(value, "", texts, numbers, 1)
    if '"{' in text:
        _unpack_message(texts, numbers)
    return Pairs(texts, numbers)


def json_number(written: str) -> str | None:
    """The text of a number that is written so, None where it is none, or one that readers of JSON differ on."""
    if not _NUMBER.fullmatch(written):
        return None
    return _number(float(written) if "." in written else int(written))


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = orjson.loads(text)
    except ValueError:
        value = _lenient(text)
    return value if isinstance(value, dict) else None


def _lenient(text: str) -> object:
    """What stands in front of a text, where orjson does not take all of it."""
    try:
        value, _ = _LENIENT.raw_decode(text)
    except (ValueError, RecursionError):
        value = _python_repr(text) if text.startswith(("{'", "{u'")) else None
    try:
        # Refuses half a surrogate pair, as no text may have one.
        orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return None
    return value


def _python_repr(text: str) -> object:
    if len(text) > _LONGEST_REPR:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None


def _flatten(value: dict[str, Any], prefix: str, texts: dict[str, str], numbers: set[str], depth: int) -> None:
    for name, item in value.items():
        kind = item.__class__
        if kind is str:
            texts[f"{prefix}{name}"] = item
        elif kind is dict and depth < _MAX_DEPTH:
            if len(item) == 1 and not _ANY_VALUE.isdisjoint(item):
                _flatten({name: next(iter(item.values()))}, prefix, texts, numbers, depth + 1)
            else:
                _flatten(item, f"{prefix}{name}.", texts, numbers, depth + 1)
        elif kind is bool:
            texts[f"{prefix}{name}"] = "true" if item else "false"
        elif kind is int or kind is float:
            texts[f"{prefix}{name}"] = _number(item)
            numbers.add(f"{prefix}{name}")
        elif kind is list and depth < _MAX_DEPTH and (members := _members(name, item)) is not None:
            _flatten(members, f"{prefix}{name}.", texts, numbers, depth + 1)
        elif item is not None:
            texts[f"{prefix}{name}"] = _list(item, name)


def _members(name: str, items: list[Any]) -> dict[str, Any] | None:
    """The members of a list that stands for an object: one record, or pairs of keys and values."""
    if not items or items[0].__class__ is not dict:
        return None
    if len(items) == 1 and name in _LISTS_OF_RECORDS:
        return dict(items[0])
    if all(
        item.__class__ is dict and item.keys() == {"key", "value"} and item["key"].__class__ is str for item in items
    ):
        return {item["key"]: item["value"] for item in items}
    return None


def _list(item: object, name: str) -> str:
    if item.__class__ is list and is_speaking(str(name)) and (text := _of_bytes(item)) is not None:
        return text
    try:
        return orjson.dumps(item, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        return "[nested too deep]"


def _of_bytes(item: object) -> str | None:
    """The text of a message that the journal has as bytes, since it is not plain text."""
    try:
        return bytes(item).decode(errors="replace").rstrip("\r\n") or None  # type: ignore[call-overload]
    except (TypeError, ValueError):
        return None


def _unpack_message(texts: dict[str, str], numbers: set[str]) -> None:
    """Put the members of a message that is a JSON object in its place; they win over what is around them."""
    for key in [key for key, text in texts.items() if text.startswith("{") and text.rstrip().endswith("}")]:
        if is_speaking(key) and (inside := _object(texts[key])):
            del texts[key]
            inner: dict[str, str] = {}
            _flatten(inside, "", inner, numbers, 2)
            texts |= inner


def is_speaking(key: str) -> bool:
    """Whether the text of a key may be an event of its own."""
    return fold(key) in _SPEAKING


def _number(value: float) -> str:
    if not math.isfinite(value):
        return json.dumps(value)
    text = repr(value)
    return f"{value:.6f}" if "e+" in text else text
