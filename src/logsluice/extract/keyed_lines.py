"""Lines that name their own fields, JSON and logfmt, from a column of text to columns of their fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import polars as pl

from logsluice.extract import decode
from logsluice.extract.schema import CUT_LINE, LABELS, REASON, REFERENCE, ROW, TEXT
from logsluice.formats import Format, KeyedEvent, read_json, read_logfmt

_LOGFMT_BEGINNING: Final = r"\A[A-Za-z_@][0-9A-Za-z_.@/-]*="
_NONE_REJECTED: Final = pl.DataFrame(schema={ROW: pl.UInt32, REFERENCE: pl.Int64, REASON: pl.String})


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


def read_json_lines(
    lines: pl.DataFrame, formats: Sequence[Format]
) -> tuple[pl.DataFrame, list[KeyedLines], pl.DataFrame]:
    """Read the JSON objects among lines.

    Args:
        lines: A table of ``row``, ``text``, ``reference_ms`` and ``cut``.
        formats: Those of the kind ``json``, in order of precedence.

    Returns:
        The lines that are something else, those that were read, and ``row``, ``reference_ms`` and ``reason`` of those
        that claim to be JSON and are not.
    """
    opens = lines[TEXT].str.starts_with("{")
    if not opens.any():
        return lines, [], _NONE_REJECTED
    candidates = lines.filter(opens)
    events = [read_json(text, formats) for text in candidates[TEXT]]
    invalid = [
        event is None and not cut and decode.claims_json(text)
        for event, text, cut in zip(events, candidates[TEXT], candidates[CUT_LINE], strict=True)
    ]
    rejected = candidates.filter(pl.Series(invalid, dtype=pl.Boolean)).select(
        ROW, REFERENCE, pl.lit(decode.INVALID_JSON).alias(REASON)
    )
    others = pl.Series(
        [event is None and not bad for event, bad in zip(events, invalid, strict=True)], dtype=pl.Boolean
    )
    return pl.concat([lines.filter(~opens), candidates.filter(others)]), _by_format(candidates, events), rejected


def read_logfmt_lines(lines: pl.DataFrame, entry: Format) -> tuple[pl.DataFrame, list[KeyedLines]]:
    """Read the logfmt events among lines; returns the lines that are something else, and those that were read."""
    opens = lines[TEXT].str.contains(_LOGFMT_BEGINNING)
    if not opens.any():
        return lines, []
    candidates = lines.filter(opens)
    events = [read_logfmt(text, (entry,)) for text in candidates[TEXT]]
    others = pl.Series([event is None for event in events], dtype=pl.Boolean)
    return pl.concat([lines.filter(~opens), candidates.filter(others)]), _by_format(candidates, events)


def _by_format(lines: pl.DataFrame, events: Sequence[KeyedEvent | None]) -> list[KeyedLines]:
    rows_by_format: dict[str, list[int]] = {}
    for number, event in enumerate(events):
        if event is not None:
            rows_by_format.setdefault(event.format.name, []).append(number)
    return [
        _columns(lines[rows], [event for row in rows if (event := events[row]) is not None])
        for rows in rows_by_format.values()
    ]


def _columns(lines: pl.DataFrame, events: Sequence[KeyedEvent]) -> KeyedLines:
    """Columns of the events of one format."""
    cells: dict[str, list[str | None]] = {}
    for number, event in enumerate(events):
        for field, text in event.fields.items():
            if field not in cells:
                cells[field] = [None] * len(events)
            cells[field][number] = text
    cells["@timestamp"] = [event.timestamp for event in events]
    cells["log.level"] = [event.level for event in events]
    cells["message"] = [event.message for event in events]
    labels = [decode.labels_text(event.labels) if event.labels else None for event in events]
    texts = {field: pl.Series(values, dtype=pl.String) for field, values in cells.items()}
    return KeyedLines(events[0].format, lines, texts, pl.Series(LABELS, labels, dtype=pl.String))
