"""JSON events, one object a line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from logsluice.formats.keyed import KeyedEvent, keyed_event
from logsluice.formats.model import Format

_MAX_DEPTH = 16
"""Objects nested deeper stay JSON text."""


def read_json(text: str, formats: Iterable[Format]) -> KeyedEvent | None:
    """Read a JSON object.

    Args:
        text: The whole event.
        formats: Those of the kind ``json``, in order of precedence.

    Returns:
        None where the text is not a JSON object (also one nested too deep to be read, or with half of a
        surrogate pair), or no format fits. Of a key given twice the last holds.
    """
    try:
        value = orjson.loads(text)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    texts: dict[str, str] = {}
    numbers: set[str] = set()
    _flatten(value, "", texts, numbers, 1)
    return keyed_event(texts, numbers, formats)


def _flatten(value: dict[str, Any], prefix: str, texts: dict[str, str], numbers: set[str], depth: int) -> None:
    for name, item in value.items():
        kind = item.__class__
        if kind is str:
            texts[prefix + name] = item
        elif kind is dict and depth < _MAX_DEPTH:
            _flatten(item, f"{prefix}{name}.", texts, numbers, depth + 1)
        elif kind is bool:
            texts[prefix + name] = "true" if item else "false"
        elif kind is int or kind is float:
            texts[prefix + name] = _number(item)
            numbers.add(prefix + name)
        elif item is not None:
            try:
                texts[prefix + name] = orjson.dumps(item).decode()
            except TypeError:
                texts[prefix + name] = "[nested too deep]"


def _number(value: float) -> str:
    text = repr(value)
    return f"{value:.6f}" if "e+" in text else text
