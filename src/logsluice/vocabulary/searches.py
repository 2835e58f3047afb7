"""Regular expressions that find a vocabulary's names with their values in running text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Final

from logsluice.regex.compile import Regex, compile_regex
from logsluice.regex.compile_cache import load_with_cache
from logsluice.vocabulary.key_folding import fold, words
from logsluice.vocabulary.model import Entry, Vocabulary
from logsluice.vocabulary.values import READERS, Kind, Reader

_BEFORE: Final = r"(?:\A|[^0-9A-Za-z_.$?&%/@-])"
"""What stands in front of a name: no part of a longer one, and no parameter of a URL."""

_QUOTE: Final = r"""(?:\\?["'`\]]){0,1}"""
_EQUALS: Final = rf"{_QUOTE}[ \t]?(?:=>|:=|=)[ \t]?"
_COLON: Final = rf"{_QUOTE}[ \t]?:[ \t]{{0,4}}"
_OPENING: Final = r"\\?[\"'(\[]?"
_AFTER_NUMBER: Final = r"(?:[^0-9A-Za-z_.]|\.?\Z|\.[^0-9A-Za-z])"
_AFTER_WORD: Final = (
    r"(?:[ \t]*(?:\Z|[,;)\]|}&\"'\n])|\.(?:[ \t]|\Z)|[ \t](?:[(\[<-]"
    r"|(?:from|on|at|with|via|by|ip|in|and|for|using|to)[ \t:]))"
)

_VALUES: Final[dict[Kind, str]] = {
    "ip": r"(?:\\?[\"'(\[</]|ip(?:v[46])?[:/]|(?:tcp|udp|tls|wss?)[:/]){0,3}"
    r"(?P<value>(?:[0-9a-f]{1,4}[.:]|::)[0-9a-f.:]{1,44})",
    "port": rf"{_OPENING}(?P<value>[0-9]{{1,5}}){_AFTER_NUMBER}",
    "long": rf"{_OPENING}(?P<value>[0-9]{{1,18}}){_AFTER_NUMBER}",
    "status": rf"{_OPENING}(?P<value>[1-5][0-9]{{2}}){_AFTER_NUMBER}",
    "email": r"\\?[\"'(\[<]?(?P<value>[^\s@\"'<>()\[\]{},;:|=\\]{1,128}@[0-9A-Za-z.-]{1,255})",
    "method": rf"{_OPENING}(?P<value>[A-Za-z]{{3,12}})(?:[^0-9A-Za-z_.:/-]|\Z)",
    "level": rf"{_OPENING}(?P<value>[A-Za-z]{{3,13}})(?:[^0-9A-Za-z_.:/-]|\Z)",
    "name": rf"{_OPENING}(?P<value>[0-9A-Za-z][0-9A-Za-z_.@:+/-]{{0,127}})",
    "url": rf"{_OPENING}(?P<value>(?:[a-z]{{2,8}}://|/)[^\s\"'<>,;|)\]}}\\]*)",
    "path": rf"{_OPENING}(?P<value>/[^\s\"'<>,;|)\]}}\\]*)",
}
"""What is taken behind a name and its separator."""

_AGENT: Final = (
    r"(?:\\?\"(?P<double>[^\"\\\n]+)|'(?P<single>[^'\n]+)'"
    r"|(?P<value>[0-9A-Za-z_.-]+/[^\s,;\"'\]]+"
    r"(?:[ ](?:\([^()\n]*\)|[0-9A-Za-z_.+-]+/[^\s,;\"'\])]+|like|Gecko|Mobile))*))"
)
_BARE: Final = r"[^\s\"'`<>()\[\]{},;|&=:\\]{1,128}(?:\\[^\s\"'`<>()\[\]{},;|&=:\\]{1,128})?"
_AFTER_BARE: Final = r"(?:[\s\"'`<>()\[\]{},;|&:\\]|\Z)"
"""What ends a bare value; an equals sign says that it is the next name, and the value empty."""

_QUOTED: Final = (
    r"\\?\"(?P<{0}double>[^\"\\\n]{{1,256}})\\?\"|'(?P<{0}single>[^'\n]{{1,256}})'|<(?P<{0}angle>[^<>\s]{{1,256}})>"
)


@dataclass(frozen=True, slots=True, eq=False)
class TextSearch:
    """How a field is looked for in running text.

    Attributes:
        field: The field of ECS.
        probe: What every text has in which ``pattern`` matches: a name and what parts it from its value. The engine of
            columns is slow with values, whose lengths are bounded, and fast with this.
        pattern: Its named groups are alternatives: one at most takes part in a match.
        read: What is taken of a match; where that is nothing, the next match counts.
    """

    field: str
    probe: Regex
    pattern: re.Pattern[str]
    read: Reader

    def first(self, text: str) -> str | None:
        """What is taken of the first match of which something is."""
        for match in self.pattern.finditer(text):
            found = next((group for group in match.groupdict().values() if group is not None), None)
            value = None if found is None else self.read(found)
            if value is not None:
                return value
        return None


@lru_cache(maxsize=8)
def text_searches(vocabulary: Vocabulary) -> tuple[TextSearch, ...]:
    """The searches of a vocabulary, in its order; one for the names of a field whose values look alike."""
    return load_with_cache(
        "names", lambda: tuple(_text_searches(vocabulary)), lambda searches: (search.probe for search in searches)
    )


def _text_searches(vocabulary: Vocabulary) -> Iterator[TextSearch]:
    searched = [entry for entry in vocabulary.entries if entry.in_text and not entry.beside and not entry.without]
    for (field, kind), entries in groupby(searched, key=lambda entry: (entry.field, entry.kind)):
        names = "|".join(dict.fromkeys(_names(list(entries), vocabulary.ignored)))
        source = _source(kind, names) if names else None
        if source is not None:
            probe = compile_regex(_probe(kind, names))
            yield TextSearch(field, probe, re.compile(source), READERS.get(kind, READERS["any"]))


def _names(entries: list[Entry], ignored: frozenset[str]) -> Iterator[str]:
    """Names as regular expressions, longer ones first, so that none hides another that it begins."""
    names = {name for entry in entries for name in (*entry.names, *entry.words) if fold(name) not in ignored}
    for name in sorted(names, key=lambda name: (-len(name), name)):
        yield "[-_ .]?".join(words(name))


def _probe(kind: Kind, names: str) -> str:
    parted = r"[\"'`\]\\]{0,2}[ \t]?[=:]"
    if kind == "ip":
        return rf"(?ai)(?:{_BEFORE}(?:{names})(?:{parted}|[ ]?\[|\(|[ ]\\?\")|\[(?:{names})[ ])"
    return rf"(?ai){_BEFORE}(?:{names}){parted}"


def _source(kind: Kind, names: str) -> str | None:
    if kind in ("user", "login"):
        quoted, spoken = _QUOTED.format("equal_"), _QUOTED.format("colon_")
        return (
            rf"(?ai){_BEFORE}(?:{names})(?:{_EQUALS}(?:{quoted}|(?P<equal_bare>{_BARE}){_AFTER_BARE})"
            rf"|{_COLON}(?:{spoken}|(?P<colon_bare>{_BARE}){_AFTER_WORD}))"
        )
    if kind == "any":
        return rf"(?ai){_BEFORE}(?:{names})(?:{_EQUALS}|{_COLON}){_AGENT}"
    value = _VALUES.get(kind)
    if value is None:
        return None
    if kind == "ip":
        return rf"(?ai)(?:{_BEFORE}(?:{names})(?:{_EQUALS}|{_COLON}|[ ]?\[|\(|[ ]\\?\")|\[(?:{names})[ ])(?:{value})"
    if kind == "level":
        return rf"(?ai){_BEFORE}(?:{names}){_EQUALS}(?:{value})"
    return rf"(?ai){_BEFORE}(?:{names})(?:{_EQUALS}|{_COLON})(?:{value})"
