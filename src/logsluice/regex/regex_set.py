"""Which of many regular expressions can match a text, told in one pass over it.

Source: RE2's sets (https://github.com/google/re2/blob/main/re2/set.h): one automaton for all expressions, built while
it runs, whose time does not grow with their number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import polars as pl
import pyarrow as pa
import re2

from logsluice.regex.compile import Regex

MOST_BYTES: Final = 64 << 20
"""Of a set's automaton; what is beyond is forgotten and built again."""

_MOST_TURNS: Final = 1_000
"""Of a loop, as RE2 has them."""

_TURNS = re.compile(r"\{([0-9]+),([0-9]*)\}")

_ANYTHING: Final = r"\A"
"""Matches every text. Where even this is not found, the automaton did not fit into its memory."""


class Candidates:
    """What may match in the texts of a column.

    Attributes:
        kinds: The sets of expressions that texts may match, each as numbers in order.
        codes: For each text, which of ``kinds`` (UInt32).
    """

    def __init__(self, kinds: Sequence[tuple[int, ...]], codes: pl.Series) -> None:
        self.kinds = kinds
        self.codes = codes

    def rows(self, number: int) -> pl.Series:
        """The places of the texts that an expression may match (UInt32)."""
        having = [number in kind for kind in self.kinds]
        if not any(having):
            return pl.Series(dtype=pl.UInt32)
        return pl.Series(having, dtype=pl.Boolean).gather(self.codes).arg_true()


class RegexSet:
    """Regular expressions whose possible matches are told together.

    Args:
        regexes: The expressions.
        whole: Whether they are to match texts as a whole.
        most_turns: A loop of more turns may have any number of them. Few turns make the automaton small, and let
            through more texts that do not match.

    Attributes:
        exact: The numbers of the expressions that match wherever they may.
    """

    def __init__(self, regexes: Sequence[Regex], *, whole: bool = False, most_turns: int = _MOST_TURNS) -> None:
        forms = {}
        exact = set()
        for number, regex in enumerate(regexes):
            if regex.re2 is not None:
                form = _shortened(regex.re2, most_turns)
                if regex.exact and form == regex.re2:
                    exact.add(number)
                forms[number] = rf"\A(?:{form})\z" if whole else form
        self._count = len(regexes)
        self._sets: list[tuple[re2.Set, list[int]]] = []
        self._always = {number for number in range(len(regexes)) if number not in forms}
        self._add_sets(forms)
        self.exact = frozenset(exact - self._always)

    def candidates(self, texts: pl.Series) -> Candidates:
        """What may match in each of some texts, none of which is null."""
        encoded = texts.to_arrow().cast(pa.large_binary()).to_pylist()
        answers = [[tuple(found.Match(text) or ()) for text in encoded] for found, _ in self._sets]
        code_of: dict[tuple[tuple[int, ...], ...], int] = {}
        codes = [code_of.setdefault(answer, len(code_of)) for answer in zip(*answers, strict=True)]
        if not answers:
            return Candidates([tuple(sorted(self._always))], pl.repeat(0, len(texts), dtype=pl.UInt32, eager=True))
        return Candidates([self._numbers(answer) for answer in code_of], pl.Series(codes, dtype=pl.UInt32))

    def _numbers(self, answer: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
        numbers = set(self._always)
        for (_, members), found in zip(self._sets, answer, strict=True):
            # The last of each set is the expression that matches everything.
            numbers.update((members[place] for place in found if place < len(members)) if found else members)
        return tuple(sorted(numbers))

    def _add_sets(self, forms: dict[int, str]) -> None:
        """One set of all, or two of half of them where that is too large."""
        if not forms:
            return
        options = re2.Options()
        options.max_mem = MOST_BYTES
        options.never_capture = True
        options.log_errors = False
        found = re2.Set.SearchSet(options)
        members = []
        for number, form in forms.items():
            try:
                found.Add(form)
                members.append(number)
            except re2.error:
                self._always.add(number)
        found.Add(_ANYTHING)
        try:
            found.Compile()
        except re2.error:
            half = len(members) // 2
            if half == 0:
                self._always.update(members)
                return
            self._add_sets({number: forms[number] for number in members[:half]})
            self._add_sets({number: forms[number] for number in members[half:]})
            return
        self._sets.append((found, members))


def _shortened(form: str, most_turns: int) -> str:
    def loop(match: re.Match[str]) -> str:
        low, high = int(match[1]), match[2]
        if low <= most_turns and (not high or int(high) <= most_turns):
            return match[0]
        return f"{{{min(low, most_turns)},}}"

    return _TURNS.sub(loop, form)
