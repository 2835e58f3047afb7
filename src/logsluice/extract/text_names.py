"""Facts that a vocabulary's names give in messages: pairs of a name and a value anywhere in running text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from logsluice.event.ecs import FieldType
from logsluice.extract.columns import read_column
from logsluice.extract.schema import polars_type
from logsluice.extract.values import Value, read_value
from logsluice.regex.compile import Regex
from logsluice.vocabulary import Vocabulary
from logsluice.vocabulary.searches import text_searches


class TextNames:
    """The names of a vocabulary, looked for in columns of messages.

    Args:
        vocabulary: Whose names.
        fields: Types by field.
    """

    def __init__(self, vocabulary: Vocabulary, fields: Mapping[str, FieldType]) -> None:
        self._searches = text_searches(vocabulary)
        self._fields = fields

    @property
    def probes(self) -> tuple[Regex, ...]:
        """What every message has in which one of the searches finds something, a search each."""
        return tuple(search.probe for search in self._searches)

    def fill(self, columns: dict[str, pl.Series], probed: Sequence[pl.Series]) -> None:
        """Put what is found in ``message`` into the fields, where they have no value yet.

        Args:
            columns: Typed values by field.
            probed: For each of :attr:`probes`, the places of the messages in which it may match.
        """
        for search, places in zip(self._searches, probed, strict=True):
            before = columns.get(search.field)
            here = places if before is None else places.filter(before.gather(places).is_null())
            if here.is_empty():
                continue
            found = [search.first(text) for text in columns["message"].gather(here)]
            kind = self._fields[search.field]
            values = read_column(pl.Series(found, dtype=pl.String), kind)
            if before is None:
                before = pl.repeat(None, len(columns["message"]), dtype=polars_type(kind), eager=True)
            columns[search.field] = before.clone().scatter(here, values)


def names_in_text(vocabulary: Vocabulary, fields: Mapping[str, FieldType], message: str) -> dict[str, Value]:
    """What :class:`TextNames` finds in one message, by field."""
    facts: dict[str, Value] = {}
    for search in text_searches(vocabulary):
        text = None if search.field in facts else search.first(message)
        value = None if text is None else read_value(text, fields[search.field])
        if value is not None:
            facts[search.field] = value
    return facts
