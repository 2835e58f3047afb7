"""Formats for lines of a like beginning: what the beginnings have in common becomes the header.

A line's tokens are compared by their kinds. The longest beginning that nearly all lines of a group share is cut behind
its last telling token: a time, a level, an address, a number, or a name that punctuation follows. What is behind is the
message. A name is given to a part only where its place says what it is; the rest become labels.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from logsluice.errors import LogsluiceError
from logsluice.formats import TIME_REMARKS
from logsluice.formats.examples import first_match
from logsluice.formats.levels import normalize_level
from logsluice.formats.model import Example, Format, FormatEntry, build_format
from logsluice.formats.syntaxes import SYNTAXES
from logsluice.learning.tokens import Kind, Token, tokens
from logsluice.vocabulary import Vocabulary

_SHARE: Final = 0.95
"""Of a group's lines have the header in common."""
_FEWEST: Final = 3
_MOST_FORMATS: Final = 8
_LIKE: Final = 4
"""Tokens by which lines are put into groups."""
_EXAMPLES: Final = 3
_DISTINCTIVE: Final = frozenset(
    {Kind.TIME, Kind.LEVEL, Kind.ADDRESS, Kind.NUMBER, Kind.DOTTED, Kind.GROUP, Kind.QUOTED}
)
_ENDS_NAME: Final = re.compile(r":|[|>]| [-|:]")
_THREAD: Final = re.compile(r"main|(?i:.*(?:thread|pool|exec-|nio-).*)")


NO_NAMES: Final = Vocabulary(())
"""Formats that are regular expressions have no keys to be looked up."""


class LearnedFormat(NamedTuple):
    """A format that lines of one beginning have.

    Attributes:
        entry: As it would stand in ``formats.yaml``.
        lines: How many of the lines it takes.
    """

    entry: FormatEntry
    lines: int


class _Line(NamedTuple):
    number: int
    text: str
    tokens: list[Token]
    shapes: tuple[str, ...]


def learn_formats(lines: Sequence[str], name: str, reference: str) -> list[LearnedFormat]:
    """Propose formats for lines.

    Args:
        lines: Events that no format takes.
        name: Of the source; the formats are called after it.
        reference: When the lines were seen, in ISO 8601, for times without a year.

    Returns:
        The formats in the order of the lines that each takes, those of earlier ones left out; none where the lines
        have no beginning in common.
    """
    remaining = [
        _Line(number, text, found, tuple(token.shape for token in found))
        for number, text in enumerate(lines)
        if (found := tokens(text))
    ]
    learned: list[LearnedFormat] = []
    fewest = max(_FEWEST, len(remaining) // 100)
    covered: set[int] = set()
    for group in _groups(remaining):
        group = [line for line in group if line.number not in covered]
        if len(group) < fewest or len(learned) == _MOST_FORMATS:
            continue
        header = _header(group)
        if header is None:
            continue
        entry = _entry(group, header, f"{name}-{len(learned) + 1}", reference)
        if entry is None:
            continue
        built = build_format(entry, NO_NAMES)
        rest = [line for line in remaining if first_match(line.text, [built], 0) is None]
        if len(remaining) - len(rest) >= fewest:
            learned.append(LearnedFormat(entry, len(remaining) - len(rest)))
            covered |= {line.number for line in remaining} - {line.number for line in rest}
            remaining = rest
    return learned


def _groups(lines: Sequence[_Line]) -> Iterator[list[_Line]]:
    """Lines of a like beginning together, the largest group first."""
    by_beginning: dict[tuple[str, ...], list[_Line]] = {}
    for line in lines:
        by_beginning.setdefault(line.shapes[:_LIKE], []).append(line)
    yield from sorted(by_beginning.values(), key=lambda group: (-len(group), group[0].shapes))


def _header(group: Sequence[_Line]) -> int | None:
    """How many tokens the lines' header has; None where nothing in it is telling."""
    shared = 0
    alike = list(group)
    while True:
        counts = Counter(line.shapes[shared] for line in alike if len(line.shapes) > shared)
        if not counts:
            break
        shape, count = counts.most_common(1)[0]
        if count < _SHARE * len(group):
            break
        alike = [line for line in alike if len(line.shapes) > shared and line.shapes[shared] == shape]
        shared += 1
    kinds = [token.kind for token in alike[0].tokens[:shared]]
    shapes = alike[0].shapes
    end = 0
    levelled = False
    for place, kind in enumerate(kinds):
        after = shapes[place + 1] if place + 1 < shared else ""
        before = shapes[place - 1] if place else ""
        if kind is Kind.WORD and after == "=":
            break
        if kind is Kind.LEVEL or (kind is Kind.GROUP and all(_is_level(line.tokens[place].text) for line in alike)):
            if levelled:
                break
            levelled = True
        elif levelled and Kind.TIME in kinds[:place] and _is_prose(kind, before, after):
            break
        named = kind is Kind.WORD and (_ENDS_NAME.match(after) is not None or after.startswith("[GROUP"))
        column = kind is Kind.WORD and all(re.match(r" {2}|\t", line.tokens[place + 1].text) for line in alike if after)
        if kind in _DISTINCTIVE or named or (column and after and before):
            end = place + 1
    if end == 0 or not any(kind in (Kind.TIME, Kind.LEVEL) for kind in kinds[:end]):
        return None
    return end + 1 if end < shared and kinds[end] is Kind.PUNCTUATION else end


def _is_level(group: str) -> bool:
    return normalize_level(group[1:-1].rpartition(":")[2]) is not None


def _is_prose(kind: Kind, before: str, after: str) -> bool:
    """Whether the message has begun, once there are a time and a level: a word or number stands alone or names it."""
    if kind not in (Kind.WORD, Kind.NUMBER, Kind.QUOTED, Kind.ADDRESS):
        return False
    return before.strip() in ("", ":", "|", "-") and (after in (" ", "") or after.startswith(":"))


def _entry(group: Sequence[_Line], count: int, name: str, reference: str) -> FormatEntry | None:
    shapes = Counter(line.shapes[:count] for line in group).most_common(1)[0][0]
    alike = [line for line in group if line.shapes[:count] == shapes]
    parts = _Parts(alike, count)
    header = "".join(parts.sources())
    # A line of values has no message of its own.
    whole = any(token.kind is Kind.QUOTED for token in alike[0].tokens[:count])
    regex = header + ("%{rest}" if whole else "(?P<message>%{rest})")
    entry: dict[str, object] = {
        "name": name,
        "description": f"Learned from {len(alike):,} lines like one another",
        "regex": regex,
        "fields": parts.fields,
    }
    if parts.syntaxes:
        entry["timestamp"] = parts.syntaxes
    try:
        bare = FormatEntry.model_validate(entry)
        built = build_format(bare, NO_NAMES)
    except (ValueError, LogsluiceError):
        return None
    examples = [example for line in _spread(alike) if (example := _example(line.text, built, reference))]
    return bare.model_copy(update={"examples": tuple(examples)})


def _spread(lines: Sequence[_Line]) -> list[_Line]:
    """A few of the lines, from all over them, each once."""
    step = max(len(lines) // _EXAMPLES, 1)
    return list({line.text: line for line in lines[::step]}.values())[:_EXAMPLES]


def _example(text: str, found: Format, reference: str) -> Example | None:
    moment = datetime.fromisoformat(reference)
    read = first_match(text, [found], int(moment.timestamp() * 1000))
    if read is None:
        return None
    fields: dict[str, str | int | float | bool | None] = {
        field: text for field, text in read[1].items() if field != TIME_REMARKS
    }
    if (micros := read[1].get("@timestamp")) is not None:
        instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(micros))
        fields["@timestamp"] = instant.isoformat().replace("+00:00", "Z")
    return Example(line=text, fields=fields, reference=reference)


def _syntaxes(texts: Sequence[str]) -> list[str]:
    """The fewest syntaxes by which all the times can be read; none where there is one that cannot."""
    found: list[str] = []
    remaining = list(texts)
    while remaining:
        matches = {
            name: sum(1 for text in remaining if syntax.python.fullmatch(text)) for name, syntax in SYNTAXES.items()
        }
        best = max(matches, key=lambda name: matches[name])
        if not matches[best]:
            return []
        found.append(best)
        remaining = [text for text in remaining if not SYNTAXES[best].python.fullmatch(text)]
    return found


class _Parts:
    """The header's parts, as pieces of a regular expression."""

    def __init__(self, lines: Sequence[_Line], count: int) -> None:
        self._lines = lines
        self._count = count
        self._first = lines[0]
        self._names: set[str] = set()
        self._labels = 0
        self.fields: dict[str, str] = {}
        self.syntaxes: list[str] = []

    def sources(self) -> Iterator[str]:
        for place in range(self._count):
            kind = self._first.tokens[place].kind
            yield self._punctuation(place) if kind is Kind.PUNCTUATION else self._part(place, kind)

    def _texts(self, place: int) -> list[str]:
        return [line.tokens[place].text for line in self._lines]

    def _shape(self, place: int) -> str:
        return self._first.shapes[place] if 0 <= place < len(self._first.shapes) else ""

    def _kind(self, place: int) -> Kind | None:
        return self._first.tokens[place].kind if 0 <= place < self._count else None

    def _punctuation(self, place: int) -> str:
        text = self._shape(place)
        last = place == self._count - 1
        pieces = (
            ("[ \t]*" if last and number else "[ ]+") if blanks.isspace() and "\t" not in blanks else re.escape(blanks)
            for number, blanks in enumerate(re.findall(r"[ \t]+|[^ \t]+", text))
        )
        return "".join(pieces).replace("\t", r"\t")

    def _part(self, place: int, kind: Kind) -> str:
        if kind is Kind.TIME:
            return self._time(place)
        if kind is Kind.LEVEL:
            return self._named("level", "%{level}")
        if kind is Kind.ADDRESS:
            return self._label("address", "%{ip}")
        before, after = self._shape(place - 1), self._shape(place + 1)
        if kind is Kind.NUMBER:
            return self._label("number", "[0-9]+")
        if kind is Kind.QUOTED:
            return '"' + self._label("text", "%{quoted}") + '"'
        if kind is Kind.GROUP:
            return self._group(place)
        source = r"[^ \t\n:\[\](){}<>|,;=\"']+(?::{2}[^ \t\n:\[\]]+)*"
        if after == "[GROUP" and self._is_number_group(place + 1):
            return self._named("process", source)
        if self._kind(place - 2) is Kind.TIME and before == " " and after == " " and self._process_follows(place):
            return self._named("host", source)
        if (kind is Kind.DOTTED or Kind.LEVEL in self._kinds()) and _ENDS_NAME.match(after):
            return self._named("logger", source)
        return self._label("part", source)

    def _group(self, place: int) -> str:
        """What stands in brackets, with the brackets."""
        opening, closing = self._first.tokens[place].text[0], self._first.tokens[place].text[-1]
        texts = [text[1:-1].strip() for text in self._texts(place)]
        source = rf"[^{re.escape(opening + closing)}\n]*"
        nested = rf"{source}(?:{re.escape(opening)}{source}{re.escape(closing)}{source})*" if opening == "[" else source
        if all(map(normalize_level, texts)):
            part = " *" + self._named("level", "%{level}") + " *"
        elif all(":" in text and normalize_level(text.rpartition(":")[2]) for text in texts):
            part = self._named("logger", r"[^:\]\n]*") + ":" + self._named("level", "%{level}")
        elif self._is_number_group(place):
            part = self._named("pid", "[0-9]{1,10}")
        elif all(re.fullmatch(r"pid [0-9]+(?::tid [0-9]+)?", text) for text in texts):
            part = "pid " + self._named("pid", "[0-9]{1,10}") + "(?::tid [0-9]+)?"
        elif all(map(_THREAD.fullmatch, texts)):
            part = self._named("thread", nested)
        elif Kind.LEVEL in self._kinds() and all(re.fullmatch(r"[\w.$:/@-]+", text) for text in texts):
            part = self._named("logger", nested)
        else:
            part = self._label("part", nested)
        return re.escape(opening) + part + re.escape(closing)

    def _is_number_group(self, place: int) -> bool:
        """Whether a process's number stands in brackets right behind its name."""
        if self._kind(place) is not Kind.GROUP or self._kind(place - 1) not in (Kind.WORD, Kind.DOTTED):
            return False
        return all(text[1:-1].isdecimal() for text in self._texts(place))

    def _kinds(self) -> list[Kind]:
        return [token.kind for token in self._first.tokens[: self._count]]

    def _process_follows(self, place: int) -> bool:
        named = self._kind(place + 2) in (Kind.WORD, Kind.DOTTED)
        return named and (self._is_number_group(place + 3) or self._shape(place + 3)[:1] == ":")

    def _time(self, place: int) -> str:
        texts = self._texts(place)
        if "timestamp" in self._names:
            return self._label("time", "%{when}")
        self.syntaxes = _syntaxes(texts)
        if not self.syntaxes:
            return "%{when}"
        return self._named("timestamp", f"%{{{self.syntaxes[0] if len(self.syntaxes) == 1 else 'when'}}}")

    def _named(self, name: str, source: str) -> str:
        if name in self._names:
            return self._label(name, source)
        self._names.add(name)
        return f"(?P<{name}>{source})"

    def _label(self, name: str, source: str) -> str:
        """What stands at a place that does not say what it is."""
        self._labels += 1
        group = f"{name}_{self._labels}"
        self.fields[group] = f"labels.{group}"
        return f"(?P<{group}>{source})"
