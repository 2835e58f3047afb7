"""logfmt events: lines of ``key=value`` pairs, as logrus, Go kit, Prometheus and Heroku write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import orjson

from logsluice.formats.keyed import KeyedEvent, keyed_event
from logsluice.formats.model import Format

_PAIR: Final = re.compile(r'([A-Za-z_@][0-9A-Za-z_.@/-]*)=(?:("(?:[^"\\]|\\.)*")|([^ "\n]*))(?: +|$)')
_TELLING: Final = frozenset({"time", "ts", "timestamp", "level", "lvl", "severity", "msg"})
_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


def read_logfmt(text: str, formats: Iterable[Format]) -> KeyedEvent | None:
    """Read a line made of ``key=value`` pairs and nothing else.

    Args:
        text: The whole event.
        formats: Those of the kind ``logfmt``, in order of precedence.

    Returns:
        None where the text is something else: it needs two pairs, one of them a time, level or message.
    """
    if "=" not in text[:256]:
        return None
    texts: dict[str, str] = {}
    position, end = 0, len(text.rstrip(" \n"))
    while position < end:
        pair = _PAIR.match(text, position, end)
        if pair is None:
            return None
        key, quoted, bare = pair.groups()
        texts[key] = bare if quoted is None else _unquote(quoted)
        position = pair.end()
    if len(texts) < 2 or _TELLING.isdisjoint(texts):
        return None
    return keyed_event(texts, {key for key, value in texts.items() if _NUMBER.fullmatch(value)}, formats)


def _unquote(quoted: str) -> str:
    if "\\" not in quoted:
        return quoted[1:-1]
    try:
        return str(orjson.loads(quoted))
    except ValueError:
        return quoted[1:-1].replace('\\"', '"')
