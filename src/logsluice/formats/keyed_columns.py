"""Events of the same keys, column by column: the answers of :func:`~logsluice.formats.keyed.keyed_event` for each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from logsluice.formats.keyed import Plan, joined, labels_text
from logsluice.formats.levels import normalize_level
from logsluice.formats.model import Format
from logsluice.formats.syntaxes import Syntax
from logsluice.vocabulary.model import Key
from logsluice.vocabulary.values import PLACEHOLDERS, Reader

Cells = list[str | None]


class KeyedColumns(NamedTuple):
    """What events of one format say; the attributes are those of :class:`~logsluice.formats.KeyedEvent`, by event.

    Attributes:
        labels: As JSON, None where there is nothing.
    """

    format: Format
    timestamp: Cells
    level: Cells
    message: Cells
    fields: dict[str, Cells]
    labels: Cells


def read_columns(columns: Mapping[str, Sequence[str]], plan: Plan) -> KeyedColumns:
    """Read events of one plan.

    Args:
        columns: By each of the plan's keys, in its order, its text in each event; there is at least one event.
        plan: How to read events of these keys.
    """
    events = _Events(columns)
    found = plan.format
    timestamp = events.first(plan.timestamp, _timestamp_reader(plan.syntaxes))
    level = events.first(plan.level, lambda text: found.levels.get(text.lower()) or normalize_level(text))
    message = _message(events, plan)
    fields = {field: events.plain(key) for field, key in plan.plain}
    fields |= {field: events.first_said(candidates) for field, candidates in plan.fields}
    for field, text in found.defaults.items():
        if field == "log.level":
            level = [cell or text for cell in level]
        else:
            cells = fields.get(field)
            fields[field] = [text] * events.count if cells is None else [text if c is None else c for c in cells]
    given = {field: cells for field, cells in fields.items() if any(cell is not None for cell in cells)}
    return KeyedColumns(found, timestamp, level, message, given, events.labels())


class _Events:
    """Events of the same keys, and which key was used in which of them."""

    def __init__(self, columns: Mapping[str, Sequence[str]]) -> None:
        self._columns = columns
        self.count = len(next(iter(columns.values())))
        self._used: dict[str, Collection[int]] = {}

    def plain(self, key: str) -> Cells:
        """The texts of a key, but for those that say nothing."""
        column = self._columns[key]
        if not PLACEHOLDERS.isdisjoint(column):
            return self.first_said([(key, lambda text: None if text in PLACEHOLDERS else text)])
        self._used[key] = range(self.count)
        return list(column)

    def first(self, keys: Iterable[Key], read: Reader) -> Cells:
        """What the first of the keys says that says anything."""
        return self.first_said([(key, read) for key in keys])

    def first_said(self, candidates: Iterable[tuple[Key, Reader]]) -> Cells:
        """What the first of the keys says that says anything, each read in its own way."""
        cells: Cells = [None] * self.count
        rows: Sequence[int] = range(self.count)
        for key, read in candidates:
            texts = self._texts(key)
            if len(rows) < self.count:
                texts = [texts[row] for row in rows]
            said = {text: read(text) for text in set(texts)}
            if len(rows) == self.count and None not in said.values():
                self.use(key, rows)
                return [said[text] for text in texts]
            for row, text in zip(rows, texts, strict=True):
                cells[row] = said[text]
            self.use(key, {row for row in rows if cells[row] is not None})
            rows = [row for row in rows if cells[row] is None]
            if not rows:
                break
        return cells

    def _texts(self, key: Key) -> Sequence[str]:
        if isinstance(key, str):
            return self._columns[key]
        return [joined(parts) for parts in zip(*(self._columns[part] for part in key), strict=True)]

    def use(self, key: Key, rows: Collection[int]) -> None:
        """Note that a key was used in some of the events."""
        for part in (key,) if isinstance(key, str) else key:
            before = self._used.get(part)
            self._used[part] = {*before, *rows} if before else rows

    def labels(self) -> Cells:
        """The texts of the keys that were not used."""
        left = [key for key in self._columns if len(self._used.get(key, ())) < self.count]
        if not left:
            return [None] * self.count
        names = [key.removeprefix("labels.") for key in left]
        by_event = list(zip(*(self._columns[key] for key in left), strict=True))
        partly = [self._used.get(key, ()) for key in left]
        if not any(partly):
            written = {texts: labels_text(dict(zip(names, texts, strict=True))) for texts in set(by_event)}
            return [written[texts] for texts in by_event]
        labels = (
            {name: text for name, text, used in zip(names, texts, partly, strict=True) if row not in used}
            for row, texts in enumerate(by_event)
        )
        return [labels_text(each) if each else None for each in labels]


def _timestamp_reader(syntaxes: Sequence[Syntax]) -> Callable[[str], str | None]:
    """Tells the texts that are written in one of the syntaxes; asks the one that took the last text first."""
    order = list(syntaxes)

    def read(text: str) -> str | None:
        for number, syntax in enumerate(order):
            if syntax.python.fullmatch(text):
                order[0], order[number] = syntax, order[0]
                return text
        return None

    return read


def _message(events: _Events, plan: Plan) -> Cells:
    """The first text that is not empty; an empty one where all are."""
    if not plan.message:
        return [None] * events.count
    cells = events.first(plan.message, lambda text: text or None)
    if None in cells:
        events.use(plan.message[0], {row for row, cell in enumerate(cells) if cell is None})
    ends = "\r\n" if plan.format.wraps else ""
    return [(cell or "").rstrip(ends) if ends else cell or "" for cell in cells]
