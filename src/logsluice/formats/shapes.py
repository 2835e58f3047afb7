"""Shapes of lines: what lines of one program have in common, the same keys in the same order between the same signs.

A shape is a regular expression with a group a value. It takes only values of which as much can be told as of the whole
line: texts, booleans, and numbers as :func:`~logsluice.formats.json_events.json_number` reads them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Final, NamedTuple

import orjson

from logsluice.formats.json_events import MOST_DIGITS, is_speaking, json_number, json_pairs
from logsluice.formats.keyed import Pairs, Plan, plan_of
from logsluice.formats.logfmt import logfmt_pairs
from logsluice.formats.model import Format

_LONGEST: Final = 8_192
"""Characters of a line from which a shape is made."""

_MOST_KEYS: Final = 100

_BACKSLASH: Final = "\x01"
_QUOTE: Final = "\x02"
"""How escaped ones are written while a line is matched."""

_TOKEN: Final = re.compile(r'"([^"]*)"([ \t\r\n]*:)?|(-?[0-9][-+.0-9eE]*)|(true|false)|[{},]|null|[ \t\r\n]+')
_TEXT: Final = '"([^"]*)"'
_NUMBER: Final = "(-?[0-9][-+.0-9eE]*)"
_BOOLEAN: Final = "(true|false)"

_PAIR: Final = re.compile(r'([A-Za-z_@][0-9A-Za-z_.@/-]*)=(?:("[^"]*")|[^ "\n]*)( +|\Z)')
_BARE: Final = '([^ "\n]*)(?<![,;])'


class Outline(NamedTuple):
    """The shape of one line.

    Attributes:
        pattern: Matches the whole of lines of this shape; a group a key.
        keys: Dotted, in order.
        numbers: Those whose values are numbers of JSON.
        speaking: Those whose values may be events of their own, as JSON.
    """

    pattern: str
    keys: tuple[str, ...]
    numbers: frozenset[str] = frozenset()
    speaking: frozenset[str] = frozenset()


class Shape(NamedTuple):
    """A shape and how to read its events.

    Attributes:
        match: Matches the whole of a line.
        outline: What the lines have in common.
        plan: How to read the events.
    """

    match: Callable[[str], re.Match[str] | None]
    outline: Outline
    plan: Plan


class Notation(NamedTuple):
    """A way to write events.

    Attributes:
        pairs: Reads any line; None where it is something else.
        outline: The shape of a line without escaped quotation marks; None where it has none that can be told.
        escapes: Whether a backslash is an escape of JSON wherever it stands.
    """

    pairs: Callable[[str], Pairs | None]
    outline: Callable[[str], Outline | None]
    escapes: bool


class Alike(NamedTuple):
    """Lines of one shape.

    Attributes:
        rows: Their numbers.
        columns: By key its text in each of them.
        others: The numbers of the lines that are not of the shape.
    """

    rows: list[int]
    columns: dict[str, Sequence[str]]
    others: list[int]


def without_escaped_quotes(text: str) -> str | None:
    """A line of JSON in which each quotation mark begins or ends a text; None where that can't be had.

    Escaped backslashes and quotation marks are written as control characters, which JSON does not have.
    """
    if _BACKSLASH in text or _QUOTE in text:
        return None
    return text.replace("\\\\", _BACKSLASH).replace('\\"', _QUOTE)


def _with_escaped_quotes(text: str) -> str:
    return text.replace(_QUOTE, '\\"').replace(_BACKSLASH, "\\\\")


def json_notation() -> Notation:
    """JSON objects, one a line."""
    return Notation(json_pairs, json_outline, escapes=True)


def logfmt_notation(formats: Sequence[Format]) -> Notation:
    """Lines of ``key=value``; they have no shapes where a format asks for the type of a value."""
    typed = any(kind != "any" for entry in formats for kind in entry.requires.values())
    outline = (lambda _: None) if typed else logfmt_outline
    return Notation(lambda text: logfmt_pairs(text, formats), outline, escapes=False)


def json_outline(text: str) -> Outline | None:
    """The shape of a JSON object of texts, numbers, booleans and objects, without escaped quotation marks."""
    pattern: list[str] = []
    keys: list[str] = []
    numbers: set[str] = set()
    above: list[str] = []
    prefix = key = ""
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            return None
        position = token.end()
        written = token[0]
        if token[2] is not None:
            if _BACKSLASH in token[1] or _QUOTE in token[1]:
                return None
            key = prefix + token[1]
            pattern.append(re.escape(written))
        elif token[1] is not None or token[3] is not None or token[4] is not None:
            keys.append(key)
            if token[3] is not None:
                numbers.add(key)
            pattern.append(_TEXT if token[1] is not None else _NUMBER if token[3] is not None else _BOOLEAN)
        else:
            if written == "{":
                above.append(prefix)
                prefix = f"{key}." if key else ""
            elif written == "}":
                prefix = above.pop() if above else ""
            pattern.append(re.escape(written))
    return Outline("".join(pattern), tuple(keys), frozenset(numbers), frozenset(filter(is_speaking, keys)))


def logfmt_outline(text: str) -> Outline | None:
    """The shape of a line of pairs and nothing else."""
    pattern: list[str] = []
    keys: list[str] = []
    position = 0
    while position < len(text):
        pair = _PAIR.match(text, position)
        if pair is None:
            return None
        keys.append(pair[1])
        value = _BARE if pair[2] is None else _TEXT
        pattern.append(f"{re.escape(pair[1])}={value}{re.escape(pair[3])}")
        position = pair.end()
    return Outline("".join(pattern), tuple(keys))


def shape_of(text: str, notation: Notation, formats: Iterable[Format]) -> Shape | None:
    """The shape of a line without escaped quotation marks, if it gives for it what reading the whole of it does.

    What is read of a line depends on its keys, their order and the signs between them, which are the same in all lines
    of a shape: so what holds for one holds for all.

    Returns:
        None also where no format fits.
    """
    outline = notation.outline(text) if len(text) <= _LONGEST else None
    pairs = notation.pairs(_with_escaped_quotes(text) if notation.escapes else text)
    if outline is None or pairs is None or not 0 < len(outline.keys) <= _MOST_KEYS:
        return None
    plan = plan_of(pairs.texts, pairs.numbers, formats)
    match = re.compile(outline.pattern).fullmatch
    if plan is None or tuple(pairs.texts) != outline.keys:
        return None
    shape = Shape(match, outline, plan)
    found = alike(shape, [text], [0], [0] if notation.escapes else [])
    return shape if found.rows and all(pairs.texts[key] == column[0] for key, column in found.columns.items()) else None


def alike(shape: Shape, texts: Sequence[str], rows: Iterable[int], escaped: Container[int]) -> Alike:
    """The lines of a shape.

    Args:
        shape: The shape.
        texts: Lines, those with escapes as :func:`without_escaped_quotes` gives them.
        rows: The numbers of the lines to look at.
        escaped: The numbers of those with escapes.
    """
    taken: list[int] = []
    others: list[int] = []
    values: list[tuple[str, ...]] = []
    match = shape.match
    for row in rows:
        found = match(texts[row])
        groups = None if found is None else found.groups()
        if groups is not None and row in escaped:
            groups = _unescaped(groups)
        if groups is None:
            others.append(row)
        else:
            taken.append(row)
            values.append(groups)
    columns: dict[str, Sequence[str]] = dict(zip(shape.outline.keys, zip(*values, strict=True), strict=False))
    doubtful: set[int] = set()
    if taken:
        for key in shape.outline.numbers:
            columns[key] = _numbers(columns[key])
            doubtful.update(place for place, text in enumerate(columns[key]) if not text)
        for key in shape.outline.speaking:
            doubtful.update(place for place, text in enumerate(columns[key]) if text[:1] == "{")
    if doubtful:
        certain = [place for place in range(len(taken)) if place not in doubtful]
        others += [taken[place] for place in sorted(doubtful)]
        taken = [taken[place] for place in certain]
        columns = {key: [column[place] for place in certain] for key, column in columns.items()}
    return Alike(taken, columns, others)


def _unescaped(texts: tuple[str, ...]) -> tuple[str, ...] | None:
    """What the texts of a line without escaped quotation marks say; None where one is no text of JSON."""
    try:
        return tuple(
            str(orjson.loads(f'"{_with_escaped_quotes(text)}"'))
            if "\\" in text or _BACKSLASH in text or _QUOTE in text
            else text
            for text in texts
        )
    except ValueError:
        return None


def _numbers(written: Sequence[str]) -> list[str]:
    """The texts of numbers of JSON; empty where only a reader of the whole line can tell."""
    # What most look like is told here, since calling a function for each takes longer.
    return [
        text if text.isdigit() and text[0] != "0" and len(text) <= MOST_DIGITS else json_number(text) or ""
        for text in written
    ]
