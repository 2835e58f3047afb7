"""Matching of few texts on Python's ``re``, where compiling a pattern for the fast engine would take longer."""

from __future__ import annotations

import re
from typing import Final

import polars as pl

from logsluice.regex.compile import Regex
from logsluice.regex.timeout import RegexTimeoutError, time_limit

MOST_ROWS: Final = 256
"""The fast engine keeps few compiled patterns, and compiling one takes it as long as ``re`` takes for so many lines."""

LONGEST_TEXT: Final = 2_048
"""On longer texts ``re`` may take time that grows with their square."""

_SECONDS: Final = 0.25


class FewRows:
    """Matches columns of few short texts by ``re``, whose answers are those of the fast engine.

    A pattern on which ``re`` runs away is never tried by it again.
    """

    def __init__(self) -> None:
        self._runaways: set[str] = set()

    def whole_matches(self, regex: Regex, texts: pl.Series) -> list[re.Match[str] | None] | None:
        """The match of each text as a whole; None where the fast engine should be asked instead."""
        if len(texts) > MOST_ROWS or regex.source in self._runaways:
            return None
        rows = texts.to_list()
        if any(len(text) > LONGEST_TEXT for text in rows):
            return None
        try:
            with time_limit(_SECONDS):
                return [regex.python.fullmatch(text) for text in rows]
        except RegexTimeoutError:
            self._runaways.add(regex.source)
            return None
