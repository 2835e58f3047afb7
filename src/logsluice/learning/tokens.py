"""A line's beginning as tokens: what kind of thing stands where, and what is between."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from itertools import islice
from typing import Final, NamedTuple

from logsluice.formats.fragments import expand
from logsluice.formats.levels import normalize_level
from logsluice.formats.syntaxes import SYNTAXES

MOST_TOKENS: Final = 28
"""Of a line; what is behind them belongs to its message."""


class Kind(Enum):
    """What a token is."""

    TIME = "a time"
    LEVEL = "a level's word"
    ADDRESS = "an IP address"
    NUMBER = "digits"
    DOTTED = "names with dots between"
    GROUP = "what stands in brackets"
    QUOTED = "what stands in double quotes"
    WORD = "letters, digits and what names have in them"
    PUNCTUATION = "anything else, and white space"


class Token(NamedTuple):
    """One token; punctuation is compared by its text, everything else by its kind."""

    kind: Kind
    text: str

    @property
    def shape(self) -> str:
        """What lines of one format have in common at this place; runs of blanks are one."""
        if self.kind is Kind.GROUP:
            return f"{self.text[0]}{self.kind.name}"
        if self.kind is not Kind.PUNCTUATION:
            return self.kind.name
        return re.sub(r"[ \t]+", lambda run: "\t" if "\t" in run[0] else " ", self.text)


_ONLY_FIRST: Final = frozenset({"compact_yymd", "klog", "klog_year", "month_day", "dot_month_day", "slash_yymd"})
"""Syntaxes so short that only at the beginning of a line they surely are a time."""
_TIMES: Final = tuple(
    re.compile(rf"{'^' if name in _ONLY_FIRST else '(?<![0-9A-Za-z.])'}{syntax.bare}(?![0-9A-Za-z])")
    for name, syntax in SYNTAXES.items()
    if name not in ("bgl", "epoch", "kitchen")
)
_EPOCH: Final = re.compile(r"(?<![0-9A-Za-z.])1[0-9]{9}(?:\.[0-9]{1,9}|[0-9]{3})?(?![0-9A-Za-z.])")
_ADDRESS: Final = rf"(?<![0-9A-Za-z.:-]){expand('%{ip}')}(?![0-9A-Za-z.-])"
_TOKEN: Final = re.compile(
    rf"""(?P<ADDRESS>{_ADDRESS})
    | (?P<GROUP>\[[^\[\]\n]*(?:\[[^\[\]\n]*\][^\[\]\n]*)*\] | \((?=[^\s()]*\))[^()\n]*\) | <[^<>\s]{{1,60}}>)
    | (?P<QUOTED>"(?:[^"\\\n]|\\.)*")
    | (?P<LEVELLED>[A-Za-z_][0-9A-Za-z_-]*\.(?=[A-Z]{{3,9}}\b))
    | (?P<DOTTED>[A-Za-z_$][0-9A-Za-z_$-]*(?:(?:\.|::|\\)[0-9A-Za-z_$-]+)+)
    | (?P<NUMBER>[0-9]+(?![0-9A-Za-z_]))
    | (?P<WORD>[0-9A-Za-z_$\u0080-\U0010ffff](?:[0-9A-Za-z_$/@\u0080-\U0010ffff-]*[0-9A-Za-z_$\u0080-\U0010ffff])?)
    | (?P<PUNCTUATION>[^0-9A-Za-z_$\u0080-\U0010ffff]+?(?=[0-9A-Za-z_$\u0080-\U0010ffff\["(<]|$))
    """,
    re.VERBOSE,
)
_BEGINNING: Final = 200


def tokens(line: str) -> list[Token]:
    """The first tokens of a line."""
    return list(islice(_tokens(line.split("\n", 1)[0]), MOST_TOKENS))


def _tokens(text: str) -> Iterator[Token]:
    end = 0
    while (time := _time(text, end)) is not None and not _is_inside(text[end : time.start()]):
        yield from _plain_tokens(text[end : time.start()])
        yield Token(Kind.TIME, time[0])
        end = time.end()
    yield from _plain_tokens(text[end:])


def _is_inside(before: str) -> bool:
    """Whether what follows stands in quotes or, not as the first thing, in brackets."""
    opened = before.rfind("[")
    return before.count('"') % 2 == 1 or (opened > before.rfind("]") and opened != len(before) - 1)


def _time(text: str, start: int) -> re.Match[str] | None:
    """The next time near the beginning of a text; of those that begin at one place the longest."""
    found = [match for pattern in (*_TIMES, _EPOCH) if (match := pattern.search(text, start, max(start, _BEGINNING)))]
    return min(found, key=lambda match: (match.start(), -match.end()), default=None)


def _plain_tokens(text: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(text):
        word = match[0]
        if match.lastgroup == "LEVELLED":
            yield Token(Kind.WORD, word[:-1])
            yield Token(Kind.PUNCTUATION, ".")
            continue
        kind = Kind[match.lastgroup or "PUNCTUATION"]
        if kind is Kind.WORD and word.isascii() and len(word) > 2 and normalize_level(word) and _has_level_case(word):
            kind = Kind.LEVEL
        yield Token(kind, word)


def _has_level_case(word: str) -> bool:
    return word.isupper() or word.islower() or word.istitle()
