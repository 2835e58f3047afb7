"""Events that name their own fields (JSON, logfmt): from keys and texts to fields."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from logsluice.fields import FIELDS
from logsluice.formats.levels import normalize_level
from logsluice.formats.defaults import Key
from logsluice.formats.model import Format
from logsluice.formats.syntaxes import SYNTAXES

_NOT_PASSED_THROUGH = frozenset({"event.dataset"})
"""Fields that are ours to set; an event's own value of these is a label."""


class KeyedEvent(NamedTuple):
    """What a JSON or logfmt event says.

    Attributes:
        format: The format that was recognised.
        timestamp: As text; it is written in one of ``format.timestamp``.
        level: Normalised; None where there is none that is known.
        message: None where the event has none: then the whole line is its message.
        fields: Texts by field, of other fields than these three.
        labels: The rest: texts by dotted key.
    """

    format: Format
    timestamp: str | None
    level: str | None
    message: str | None
    fields: dict[str, str]
    labels: dict[str, str]


def keyed_event(
    texts: dict[str, str], numbers: frozenset[str] | set[str], formats: Iterable[Format]
) -> KeyedEvent | None:
    """Read an event's keys by the first format whose required keys it has.

    Args:
        texts: Values as text by dotted key; emptied of what becomes a field.
        numbers: The keys whose values are numbers.
        formats: All of one kind.

    Returns:
        The event, or None where no format fits.
    """
    for candidate in formats:
        if all(_has(texts, numbers, key, kind) for key, kind in candidate.requires.items()):
            return _read(texts, candidate)
    return None


def _has(texts: dict[str, str], numbers: frozenset[str] | set[str], key: str, kind: str) -> bool:
    return key in texts and (kind == "any" or (key in numbers) == (kind == "number"))


def _read(texts: dict[str, str], found: Format) -> KeyedEvent:
    timestamp = level = message = None
    fields: dict[str, str] = {}
    used: list[str] = []
    for field, keys in found.keys.items():
        for key in keys:
            text = texts.get(key) if isinstance(key, str) else _seconds_and_nanos(texts, key)
            if text is None:
                continue
            if field == "@timestamp":
                if not any(SYNTAXES[name].python.fullmatch(text) for name in found.timestamp):
                    continue
                timestamp = text
            elif field == "log.level":
                level = found.levels.get(text.lower()) or normalize_level(text)
                if level is None:
                    continue
            elif field == "message":
                message = text.rstrip("\r\n") if found.wraps else text
            elif not text:
                continue
            else:
                fields[field] = text
            used += (key,) if isinstance(key, str) else key
            break
    for key in used:
        texts.pop(key, None)
    for key in FIELDS.keys() & texts.keys() - _NOT_PASSED_THROUGH:
        fields.setdefault(key, texts.pop(key))
    for field, text in found.defaults.items():
        if field == "log.level":
            level = level or text
        else:
            fields.setdefault(field, text)
    return KeyedEvent(found, timestamp, level, message, fields, texts)


def _seconds_and_nanos(texts: dict[str, str], keys: Key) -> str | None:
    seconds, nanos = texts.get(keys[0]), texts.get(keys[1])
    return None if seconds is None or nanos is None else f"{seconds}.{nanos:>09}"
