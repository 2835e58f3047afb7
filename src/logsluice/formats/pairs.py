"""Keys and values within the header of a text format: CEF's and LEEF's extension, syslog's structured data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from logsluice.formats.keyed import keyed_event
from logsluice.formats.model import Format
from logsluice.vocabulary.key_folding import fold

_EXTENSION_KEY: Final = re.compile(r"(?:\A|(?<=\s))([A-Za-z_][0-9A-Za-z_.\[\]-]{0,99})=")
_DELIMITER: Final = re.compile(r"(?:0?x(?P<code>[0-9A-Fa-f]{2,4})|(?P<character>[^0-9A-Za-z\s]))\|")
_ESCAPED: Final = re.compile(r"\\([=|\\])")
_ELEMENT: Final = re.compile(r'\[(?P<id>[^ \]="]+)(?P<parameters>(?: +[^ =\]"]+="(?:[^"\\\]]|\\.)*")*) *\]')
_PARAMETER: Final = re.compile(r'([^ =\]"]+)="((?:[^"\\\]]|\\.)*)"')
_OF_SYSLOG: Final = frozenset(["timeQuality", "origin", "meta"])
"""Elements that are about the sender and not the event (RFC 5424, 7)."""

_MAKERS: Final = ("vendor", "product")
_INNER: Final = frozenset(["@timestamp", "message"])
"""What an extension says better than the header in front of it."""


def with_pairs(entry: Format, groups: Mapping[str, str | None], texts: Mapping[str, str]) -> dict[str, str]:
    """Add to the texts of a header what the pairs within it say.

    Args:
        entry: The format that takes the line.
        groups: Texts by group.
        texts: Texts by field, as the groups give them.

    Returns:
        Texts by field. The header's stay, but an extension's time and message win.
    """
    merged = dict(texts)
    for group, syntax in entry.pairs.items():
        text = groups.get(group)
        if not text:
            continue
        extension = syntax == "extension"
        pairs = _extension(text, [groups.get(maker) or "" for maker in _MAKERS]) if extension else _structured(text)
        event = keyed_event(pairs, set(), (entry,)) if pairs else None
        if event is None:
            continue
        said = {"@timestamp": event.timestamp, "log.level": event.level, "message": event.message, **event.fields}
        for field, value in said.items():
            if value and (not merged.get(field) or (extension and field in _INNER)):
                merged[field] = value
    return merged


def _extension(text: str, makers: list[str]) -> dict[str, str]:
    """Pairs of CEF and LEEF. A key of the maker's own, who puts a name in front of it, is known without that too."""
    delimiter = _DELIMITER.match(text)
    if delimiter is not None:
        character = delimiter["character"] or chr(int(delimiter["code"], 16))
        text = text[delimiter.end() :].replace(character, "\t")
    keys = list(_EXTENSION_KEY.finditer(text))
    ends = [key.start() for key in keys[1:]] + [len(text)]
    pairs = {key[1]: _ESCAPED.sub(r"\1", text[key.end() : end].strip()) for key, end in zip(keys, ends, strict=True)}
    prefixes = {fold(name) for maker in makers for name in (maker, maker.partition(" ")[0]) if name}
    for key, value in list(pairs.items()):
        for prefix in prefixes:
            if fold(key).startswith(prefix) and len(fold(key)) > len(prefix):
                pairs.setdefault(fold(key).removeprefix(prefix), value)
    return pairs


def _structured(text: str) -> dict[str, str]:
    """Parameters of structured data (RFC 5424, 6.3)."""
    return {
        name: re.sub(r'\\(["\\\]])', r"\1", value)
        for element in _ELEMENT.finditer(text)
        if element["id"] not in _OF_SYSLOG
        for name, value in _PARAMETER.findall(element["parameters"])
    }
