"""Matching of few texts on Python's ``re``, where compiling a pattern for the fast engine would take longer."""

from __future__ import annotations

import re
from typing import Final

import polars as pl

from logsluice.regex.compile import Regex
from logsluice.regex.timeout import RegexTimeoutError, time_limit

MOST_ROWS: Final = 256
"""The fast engine keeps few compiled patterns, and compiling one takes it as long as ``re`` takes for so many texts;
for a quarter of them, where it has to look for a match within each."""

LONGEST_TEXT: Final = 2_048
"""On longer texts ``re`` may take time that grows with their square."""

_SECONDS: Final = 0.25


class FewRows:
    """Matches few short texts by ``re``, whose answers are those of the fast engine.

    A pattern on which ``re`` runs away is never tried by it again.
    """

    def __init__(self) -> None:
        self._runaways: set[str] = set()

    def matches(self, regex: Regex, texts: pl.Series, *, whole: bool) -> list[re.Match[str] | None] | None:
        """The match of each text; None where the fast engine should be asked instead."""
        if regex.source in self._runaways or len(texts) > (MOST_ROWS if whole else MOST_ROWS // 4):
            return None
        rows = texts.to_list()
        if any(text is None or len(text) > LONGEST_TEXT for text in rows):
            return None
        match = regex.python.fullmatch if whole else regex.python.search
        try:
            with time_limit(_SECONDS):
                return [match(text) for text in rows]
        except RegexTimeoutError:
            self._runaways.add(regex.source)
            return None
