"""Matching of few texts on Python's ``re``, where compiling a pattern for the fast engine would take longer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import polars as pl

from logsluice.regex.compile import Regex
from logsluice.regex.timeout import RegexTimeoutError, time_limit

MOST_ROWS: Final = 256
"""The fast engine keeps few compiled patterns, and compiling one takes it as long as ``re`` takes for so many lines."""

LONGEST_TEXT: Final = 2_048
"""On longer texts ``re`` may take time that grows with their square."""

_SECONDS: Final = 0.25


def few_texts(texts: pl.Series) -> list[str] | None:
    """The texts of a column, None where they are too many or too long."""
    if len(texts) > MOST_ROWS:
        return None
    rows = texts.to_list()
    return None if any(len(text) > LONGEST_TEXT for text in rows) else rows


class FewRows:
    """Matches few short texts by ``re``, whose answers are those of the fast engine.

    A pattern on which ``re`` runs away is never tried by it again.
    """

    def __init__(self) -> None:
        self._runaways: set[str] = set()

    def whole_matches(self, regex: Regex, texts: Sequence[str]) -> dict[int, re.Match[str]] | None:
        """The matches of texts as a whole, by number; None where the fast engine should be asked instead."""
        if regex.source in self._runaways:
            return None
        literals, fullmatch = regex.literals, regex.python.fullmatch
        candidates = [
            (number, text) for number, text in enumerate(texts) if all(literal in text for literal in literals)
        ]
        if not candidates:
            return {}
        try:
            with time_limit(_SECONDS):
                return {number: match for number, text in candidates if (match := fullmatch(text)) is not None}
        except RegexTimeoutError:
            self._runaways.add(regex.source)
            return None
