"""Matching a compiled regular expression against a column of text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import polars as pl

from logsluice.extract.bounded import BoundedSearch
from logsluice.extract.few_rows import FewRows
from logsluice.regex.compile import Regex
from logsluice.regex.timeout import RegexTimeoutError


class ColumnMatcher:
    """Matches columns on the fast engine, and by ``re`` just the lines for which that would not be exact.

    Args:
        few_rows: Matches columns of few rows; one for all batches of an extractor.

    Attributes:
        timed_out: Identifiers of the lines on which ``re`` ran out of time.
    """

    def __init__(self, few_rows: FewRows | None = None) -> None:
        self.timed_out: set[int] = set()
        self._search = BoundedSearch()
        self._few_rows = few_rows or FewRows()

    def matches(self, regex: Regex, texts: pl.Series, ids: pl.Series, *, whole: bool = False) -> pl.Series:
        """Which texts match (``fullmatch`` where ``whole``, else ``search``)."""
        few = self._few_rows.matches(regex, texts, whole=whole)
        if few is not None:
            return pl.Series([match is not None for match in few], dtype=pl.Boolean)
        rust = regex.rust_whole if whole else regex.rust
        none = pl.repeat(False, len(texts), dtype=pl.Boolean, eager=True)
        found = none if rust is None else texts.str.contains(rust)
        slow = self._slow_rows(regex, texts)
        if slow is None:
            return found
        answers = [match is not None for match in self._on_re(regex, texts, ids, slow, whole)]
        return found.scatter(slow, pl.Series(answers, dtype=pl.Boolean))

    def groups(self, regex: Regex, texts: pl.Series, ids: pl.Series, *, whole: bool = False) -> dict[str, pl.Series]:
        """The text of each named group; null where it took no part or the text does not match."""
        few = self._few_rows.matches(regex, texts, whole=whole)
        if few is not None:
            return _texts_of(few, regex.groups)
        rust = regex.rust_whole if whole else regex.rust
        if rust is None:
            empty = pl.repeat(None, len(texts), dtype=pl.String, eager=True)
            columns = dict.fromkeys(regex.groups, empty)
        elif len(regex.groups) == 1:
            columns = {regex.groups[0]: texts.str.extract(rust, 1)}
        else:
            captured = texts.str.extract_groups(rust).struct.unnest()
            columns = dict(zip(regex.groups, captured.get_columns(), strict=True))
        slow = self._slow_rows(regex, texts)
        if slow is None:
            return columns
        found = _texts_of(list(self._on_re(regex, texts, ids, slow, whole)), regex.groups)
        return {group: column.scatter(slow, found[group]) for group, column in columns.items()}

    def _slow_rows(self, regex: Regex, texts: pl.Series) -> pl.Series | None:
        if regex.rust is None:
            return _rows(texts.is_not_null())
        if not (regex.needs_ascii or regex.needs_no_final_newline):
            return None
        slow = pl.repeat(False, len(texts), dtype=pl.Boolean, eager=True)
        if regex.needs_ascii:
            slow |= texts.str.len_bytes() != texts.str.len_chars()
        if regex.needs_no_final_newline:
            slow |= texts.str.ends_with("\n")
        return _rows(slow)

    def _on_re(
        self, regex: Regex, texts: pl.Series, ids: pl.Series, rows: pl.Series, whole: bool
    ) -> Iterator[re.Match[str] | None]:
        for text, identifier in zip(texts.gather(rows), ids.gather(rows), strict=True):
            match = None
            try:
                match = self._search(regex.python, text, whole=whole)
            except RegexTimeoutError:
                self.timed_out.add(identifier)
            yield match


def _texts_of(matches: Sequence[re.Match[str] | None], groups: Sequence[str]) -> dict[str, pl.Series]:
    return {
        group: pl.Series([None if match is None else match[group] for match in matches], dtype=pl.String)
        for group in groups
    }


def _rows(wanted: pl.Series) -> pl.Series | None:
    rows = wanted.arg_true()
    return None if rows.is_empty() else rows
