"""Facts that a vocabulary's names give in messages: pairs of a name and a value anywhere in running text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from logsluice.event.ecs import FieldType
from logsluice.extract.columns import read_column
from logsluice.extract.matching import ColumnMatcher
from logsluice.extract.schema import polars_type
from logsluice.extract.values import Value, read_value
from logsluice.vocabulary import Vocabulary
from logsluice.vocabulary.searches import TextSearch, gate, text_searches

_PARTS: Final = r"[=:\[(\"]"
"""One of these stands between a name and its value."""


class TextNames:
    """The names of a vocabulary, looked for in columns of messages.

    Args:
        vocabulary: Whose names.
        fields: Types by field.
    """

    def __init__(self, vocabulary: Vocabulary, fields: Mapping[str, FieldType]) -> None:
        self._searches = text_searches(vocabulary)
        self._gate = gate(vocabulary)
        self._fields = fields

    def fill(self, columns: dict[str, pl.Series], ids: pl.Series, matcher: ColumnMatcher) -> None:
        """Put what is found in ``message`` into the fields, where they have no value yet.

        Args:
            columns: Typed values by field.
            ids: What ``matcher`` calls the rows.
            matcher: Runs the searches.
        """
        messages = columns["message"]
        parted = messages.str.contains(_PARTS).arg_true()
        rows = parted.filter(matcher.matches(self._gate, messages.gather(parted), ids.gather(parted)))
        if rows.is_empty():
            return
        for search in self._searches:
            here = rows
            if search.field in columns:
                here = rows.filter(columns[search.field].gather(rows).is_null())
            if not here.is_empty():
                self._fill_one(search, columns, here, ids, matcher)

    def _fill_one(
        self, search: TextSearch, columns: dict[str, pl.Series], here: pl.Series, ids: pl.Series, matcher: ColumnMatcher
    ) -> None:
        texts, names = columns["message"].gather(here), ids.gather(here)
        fits = matcher.matches(search.probe, texts, names)
        if not fits.any():
            return
        found = [search.first(text) for text in texts.filter(fits)]
        kind = self._fields[search.field]
        values = read_column(pl.Series(found, dtype=pl.String), kind)
        before = columns.get(search.field)
        if before is None:
            before = pl.repeat(None, len(columns["message"]), dtype=polars_type(kind), eager=True)
        columns[search.field] = before.clone().scatter(here.filter(fits), values)


def names_in_text(vocabulary: Vocabulary, fields: Mapping[str, FieldType], message: str) -> dict[str, Value]:
    """What :class:`TextNames` finds in one message, by field."""
    facts: dict[str, Value] = {}
    for search in text_searches(vocabulary):
        text = None if search.field in facts else search.first(message)
        value = None if text is None else read_value(text, fields[search.field])
        if value is not None:
            facts[search.field] = value
    return facts
