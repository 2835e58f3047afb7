"""logfmt events: lines of ``key=value`` pairs, as logrus, Go kit, Prometheus, Heroku and firewalls write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import orjson

from logsluice.formats.keyed import KeyedEvent, Pairs, keyed_event
from logsluice.formats.model import Format

_KEY: Final = r"[A-Za-z_@][0-9A-Za-z_.@/-]*"
_PAIR: Final = re.compile(rf'({_KEY})=(?:("(?:[^"\\]|\\.)*")|([^ "\n]*))(?: +|$)')
_LOOSE_KEY: Final = re.compile(r"(?:\A|(?<=[ \t,;|]))([A-Za-z_@][0-9A-Za-z_.@/-]{0,63})=")
_QUOTED: Final = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\\n]|\\.)*')[ \t]*[,;|]?[ \t]*""")
_LONGEST_LOOSE: Final = 32_768
_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_LEAST_PAIRS: Final = 2
_LEAST_LOOSE_PAIRS: Final = 4
_LEAST_KNOWN: Final = 2


def read_logfmt(text: str, formats: Iterable[Format]) -> KeyedEvent | None:
    """Read a line made of ``key=value`` pairs and nothing else.

    Args:
        text: The whole event.
        formats: Those of the kind ``logfmt``, in order of precedence.

    Returns:
        None where the text is something else. It needs two pairs; where a value has blanks and no quotes, four, of
        which the vocabulary knows two, or three of which it knows all.
    """
    formats = tuple(formats)
    pairs = logfmt_pairs(text, formats)
    return None if pairs is None else keyed_event(*pairs, formats)


def logfmt_pairs(text: str, formats: Sequence[Format]) -> Pairs | None:
    """The keys and values of a line, read as :func:`read_logfmt` does; None where it is something else."""
    if "=" not in text[:256]:
        return None
    texts = _strict(text)
    if texts is None:
        texts = read_pairs(text)
        if texts is None or not _is_known(texts, formats):
            return None
    if len(texts) < _LEAST_PAIRS:
        return None
    return Pairs(texts, {key for key, value in texts.items() if _NUMBER.fullmatch(value)})


def read_pairs(text: str) -> dict[str, str] | None:
    """Read ``key=value`` pairs whose values may have blanks: each ends where the next key begins.

    Returns:
        Texts by key, or None where the text is something else.
    """
    if len(text) > _LONGEST_LOOSE:
        return None
    text = text.rstrip(" \n")
    texts: dict[str, str] = {}
    key = _LOOSE_KEY.match(text)
    while key is not None:
        quoted = _QUOTED.match(text, key.end()) if text[key.end() : key.end() + 1] in ('"', "'") else None
        if quoted is not None:
            following = _LOOSE_KEY.match(text, quoted.end())
            if following is None and quoted.end() < len(text):
                return None
            texts[key[1]] = _unquote(quoted[1]) if quoted[1][0] == '"' else quoted[1][1:-1]
        else:
            following = _LOOSE_KEY.search(text, key.end())
            bare = text[key.end() : len(text) if following is None else following.start()].rstrip(" \t")
            if '"' in bare or "\n" in bare:
                return None
            texts[key[1]] = bare[:-1].rstrip(" \t") if bare.endswith((",", ";", "|")) else bare
        key = following
    return texts or None


def _strict(text: str) -> dict[str, str] | None:
    texts: dict[str, str] = {}
    position, end = 0, len(text.rstrip(" \n"))
    while position < end:
        pair = _PAIR.match(text, position, end)
        if pair is None:
            return None
        key, quoted, bare = pair.groups()
        if quoted is None and position + len(pair[0]) < end and bare.endswith((",", ";")):
            return None
        texts[key] = bare if quoted is None else _unquote(quoted)
        position = pair.end()
    return texts


def _is_known(texts: dict[str, str], formats: Sequence[Format]) -> bool:
    known = sum(any(key in entry.vocabulary for entry in formats) for key in texts)
    return known >= _LEAST_KNOWN and (known == len(texts) or len(texts) >= _LEAST_LOOSE_PAIRS)


def _unquote(quoted: str) -> str:
    if "\\" not in quoted:
        return quoted[1:-1]
    try:
        return str(orjson.loads(quoted))
    except ValueError:
        return quoted[1:-1].replace('\\"', '"')
