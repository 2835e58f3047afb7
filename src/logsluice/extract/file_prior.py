"""What a file's first lines tell of its others: the format that most of them have.

It is a function of the file alone, whichever part of it is read and by whom. It holds for files only: what lies in
Kafka is read record by record, in any order, by any worker, in any mode, and must come out the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pyarrow as pa

from logsluice.errors import LogsluiceError
from logsluice.extract.columnar import ColumnarExtractor
from logsluice.extract.registry import Registry
from logsluice.formats import Format, load_formats
from logsluice.regex.compile import compile_regex

HEAD_LINES: Final = 200
"""How many of a file's first lines are looked at."""

LAST_RESORTS: Final = ("plain", "generic.")
"""Names, or their beginnings, of the formats that take what no other takes."""

_FEWEST: Final = 5
_GROUP: Final = re.compile(r"\(\?P<([a-z0-9_]+)>")
_PIECE: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)
"""An escape, a class of characters, or one character."""
_ODD: Final = r"[^\n]{0,200}?"
"""What may stand in place of the one part that is not as the format has it."""


def dominant_format(extractor: ColumnarExtractor, head: pa.RecordBatch) -> str | None:
    """The format of most of a file's first lines; None where no one has more than half of them, or they are few."""
    datasets = Counter(name for name in extractor.extract(head)["event.dataset"].to_pylist() if name is not None)
    if not datasets:
        return None
    name, count = datasets.most_common(1)[0]
    return name if count >= _FEWEST and 2 * count > head.num_rows and not name.startswith(LAST_RESORTS) else None


def preferring(registry: Registry, name: str) -> Registry:
    """A registry that prefers a format: of several that fit a line it is taken, after the user's own.

    A line that no format takes but those of the last resort, and that has all of this one's parts but one, is read as
    one of it with the rest of the parts, and tagged ``partial``.
    """
    shipped = {entry.name for entry in load_formats()}
    own = [entry for entry in registry.formats if entry.name not in shipped]
    preferred = [entry for entry in registry.formats if entry.name == name and entry.name in shipped]
    others = [entry for entry in registry.formats if entry not in own and entry not in preferred]
    chosen = next((entry for entry in registry.formats if entry.name == name), None)
    nearly = [] if chosen is None else list(_with_an_odd_part(chosen))
    specific = [entry for entry in others if not entry.name.startswith(LAST_RESORTS)]
    resorts = [entry for entry in others if entry.name.startswith(LAST_RESORTS)]
    return replace(registry, formats=(*own, *preferred, *specific, *nearly, *resorts))


def _with_an_odd_part(entry: Format) -> Iterator[Format]:
    """The format with each of its parts in turn as anything; the time's last, for it tells the most."""
    if entry.regex is None:
        return
    groups = [group for group in entry.regex.groups if entry.fields[group] != "message"]
    for group in sorted(groups, key=lambda group: entry.fields[group] == "@timestamp"):
        source = _without(entry.regex.source, group)
        fields = {name: field for name, field in entry.fields.items() if name != group}
        if source is None or len(fields) < 2:
            continue
        try:
            regex = compile_regex(source)
        except LogsluiceError:
            continue
        yield replace(
            entry, regex=regex, fields={name: fields[name] for name in regex.groups}, partial=True, standalone=True
        )


def _without(source: str, group: str) -> str | None:
    """A regular expression with anything in place of a group."""
    begin = source.find(f"(?P<{group}>")
    end = _end_of_group(source, begin)
    inner = _GROUP.findall(source, begin + 1, end)
    return None if inner else f"{source[:begin]}(?:{_ODD}){source[end:]}"


def _end_of_group(source: str, begin: int) -> int:
    """Behind the bracket that closes the group which opens at a place."""
    depth = 0
    for match in _PIECE.finditer(source, begin):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    return len(source)
