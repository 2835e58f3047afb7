"""Lines that name their own fields, JSON and logfmt, from a column of text to columns of their fields."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Final, NamedTuple

import polars as pl

from logsluice.extract import decode
from logsluice.extract.known_shapes import Block, KnownShapes
from logsluice.extract.schema import CUT_LINE, LABELS, REASON, REFERENCE, ROW, TEXT
from logsluice.formats import Format, KeyedEvent
from logsluice.formats.keyed import keyed_event, labels_text
from logsluice.formats.keyed_columns import Cells, KeyedColumns
from logsluice.formats.shapes import Notation, json_notation, logfmt_notation


class KeyedLines(NamedTuple):
    """Lines of one format and what they say.

    Attributes:
        format: The format that was recognised.
        lines: The lines, as they were given.
        texts: Texts by field, a value a line, null where it has none; times as they are written.
        labels: What no field takes, a JSON object a line, null where there is nothing.
    """

    format: Format
    lines: pl.DataFrame
    texts: dict[str, pl.Series]
    labels: pl.Series


class Found(NamedTuple):
    """What was found among lines.

    Attributes:
        others: The lines that are something else.
        read: Those that were read.
        rejected: ``row``, ``reference_ms`` and ``reason`` of those that claim to be what they are not.
    """

    others: pl.DataFrame
    read: list[KeyedLines]
    rejected: pl.DataFrame


_NONE_REJECTED: Final = pl.DataFrame(schema={ROW: pl.UInt32, REFERENCE: pl.Int64, REASON: pl.String})


class JsonLines:
    """Reads JSON objects, one a line.

    Args:
        formats: Those of the kind ``json``, in order of precedence.
    """

    def __init__(self, formats: Sequence[Format]) -> None:
        self._reader = _Reader(json_notation(), formats)

    def read(self, lines: pl.DataFrame) -> Found:
        """Read the JSON objects in a table of ``row``, ``text``, ``reference_ms`` and ``cut``."""
        opens = lines[TEXT].str.starts_with("{")
        if not opens.any():
            return Found(lines, [], _NONE_REJECTED)
        candidates = lines.filter(opens)
        read, unread = self._reader.read(candidates)
        if unread.is_empty():
            return Found(lines.filter(~opens), read, _NONE_REJECTED)
        invalid = unread[TEXT].str.contains(decode.JSON_BEGINNING) & ~unread[CUT_LINE]
        rejected = unread.filter(invalid).select(ROW, REFERENCE, pl.lit(decode.INVALID_JSON).alias(REASON))
        return Found(pl.concat([lines.filter(~opens), unread.filter(~invalid)]), read, rejected)


class LogfmtLines:
    """Reads lines of ``key=value`` pairs of one format."""

    def __init__(self, entry: Format) -> None:
        self._reader = _Reader(logfmt_notation((entry,)), (entry,))

    def read(self, lines: pl.DataFrame) -> Found:
        """Read the logfmt events in a table of ``row``, ``text``, ``reference_ms`` and ``cut``."""
        read, unread = self._reader.read(lines)
        return Found(unread, read, _NONE_REJECTED)


class _Reader:
    """Reads lines of one notation: many at once by their shapes, the others one by one."""

    def __init__(self, notation: Notation, formats: Sequence[Format]) -> None:
        self._notation = notation
        self._formats = tuple(formats)
        self._shapes = KnownShapes(notation, formats)

    def read(self, lines: pl.DataFrame) -> tuple[list[KeyedLines], pl.DataFrame]:
        """Read lines; returns also those that are something else."""
        texts = lines[TEXT].to_list()
        blocks, rows = self._shapes.read(texts)
        singles: dict[str, list[tuple[int, KeyedEvent]]] = {}
        unread: list[int] = []
        for row in rows:
            pairs = self._notation.pairs(texts[row])
            event = None if pairs is None else keyed_event(*pairs, self._formats)
            if event is None:
                unread.append(row)
            else:
                singles.setdefault(event.format.name, []).append((row, event))
        blocks += [
            Block([row for row, _ in of_format], _columns([event for _, event in of_format]))
            for of_format in singles.values()
        ]
        by_format: dict[str, list[Block]] = {}
        for block in blocks:
            by_format.setdefault(block.events.format.name, []).append(block)
        return [_joined(lines, of_format) for of_format in by_format.values()], lines[unread]


def _columns(events: Sequence[KeyedEvent]) -> KeyedColumns:
    """Columns of the events of one format."""
    fields: dict[str, Cells] = {}
    for number, event in enumerate(events):
        for field, text in event.fields.items():
            if field not in fields:
                fields[field] = [None] * len(events)
            fields[field][number] = text
    return KeyedColumns(
        events[0].format,
        [event.timestamp for event in events],
        [event.level for event in events],
        [event.message for event in events],
        fields,
        [labels_text(event.labels) if event.labels else None for event in events],
    )


def _joined(lines: pl.DataFrame, blocks: Sequence[Block]) -> KeyedLines:
    """Lines of one format, block after block."""
    names = dict.fromkeys(field for block in blocks for field in block.events.fields)
    cells = {
        field: list(chain.from_iterable(block.events.fields.get(field) or [None] * len(block.rows) for block in blocks))
        for field in names
    }
    cells["@timestamp"] = list(chain.from_iterable(block.events.timestamp for block in blocks))
    cells["log.level"] = list(chain.from_iterable(block.events.level for block in blocks))
    cells["message"] = list(chain.from_iterable(block.events.message for block in blocks))
    labels = list(chain.from_iterable(block.events.labels for block in blocks))
    return KeyedLines(
        blocks[0].events.format,
        lines[[row for block in blocks for row in block.rows]],
        {field: pl.Series(values, dtype=pl.String) for field, values in cells.items()},
        pl.Series(LABELS, labels, dtype=pl.String),
    )
