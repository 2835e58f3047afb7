"""A set of expressions tells of each text at least those that match it, and of exact ones nothing else."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logsluice.regex import regex_set
from logsluice.regex.compile import compile_regex
from logsluice.regex.regex_set import Candidates, RegexSet
from tests.unit.regex.test_regex import PATTERNS, TEXTS

UNSAYABLE = st.sampled_from(
    [r"(?<=a)b", r"(?<!a)b\b", r"(a+)\1", r"(?>a+)b", r"a++b", r"(?:a|)*", r"(?P<x>[ab])+$", r"\Bz", r"(?i)k(?=\w)"]
)
SETS = st.lists(st.one_of(PATTERNS, UNSAYABLE), min_size=1, max_size=6)


def told(candidates: Candidates, row: int) -> tuple[int, ...]:
    kind: int = candidates.codes[row]
    return candidates.kinds[kind]


@settings(max_examples=5 * settings().max_examples)
@given(SETS, TEXTS, st.booleans(), st.sampled_from([1, 2, 1_000]))
def test_what_matches_is_among_the_candidates(
    patterns: list[str], texts: list[str], whole: bool, most_turns: int
) -> None:
    regexes = [compile_regex(pattern) for pattern in patterns]
    made = RegexSet(regexes, whole=whole, most_turns=most_turns)
    candidates = made.candidates(pl.Series(texts))
    for row, text in enumerate(texts):
        found = told(candidates, row)
        assert list(found) == sorted(set(found))
        for number, regex in enumerate(regexes):
            match = regex.python.fullmatch(text) if whole else regex.python.search(text)
            assert match is None or number in found, (patterns[number], text)
            assert match is not None or number not in found or number not in made.exact, (patterns[number], text)
            assert (row in candidates.rows(number).to_list()) == (number in found)


def test_ordinary_expressions_are_exact() -> None:
    made = RegexSet([compile_regex(pattern) for pattern in ("(?a)[0-9]{4}-", "(?a)\\bx", "x$", "(?=a)b")], whole=True)
    assert made.exact == {0, 1}


def test_what_cannot_be_widened_may_always_match() -> None:
    nested = compile_regex("(" * 90 + "a" + ")*" * 90)
    assert nested.re2 is None
    assert RegexSet([nested]).candidates(pl.Series(["b"])).kinds == [(0,)]


def test_no_expression_and_no_text() -> None:
    assert RegexSet([]).candidates(pl.Series(["a"])).kinds == [()]
    assert RegexSet([compile_regex("a")]).candidates(pl.Series(dtype=pl.String)).rows(0).to_list() == []


def test_expressions_that_do_not_fit_together_are_put_into_more_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regex_set, "MOST_BYTES", 1 << 17)
    regexes = [compile_regex(rf"(?a)w{number}[a-z]{{40}}" + "x" * 100 * number) for number in range(8)]
    regexes.append(compile_regex(r"(?:[a-z]{900}-){900}"))
    candidates = RegexSet(regexes).candidates(pl.Series(["w0" + "a" * 40, "w1", ""]))
    assert [told(candidates, row) for row in range(3)] == [(0, 8), (8,), (8,)]


def test_an_automaton_that_does_not_fit_tells_nothing_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regex_set, "MOST_BYTES", 12_000)
    regexes = [compile_regex(r"(?as).*a.{12}b.{12}c"), compile_regex("zzz")]
    texts = pl.Series(["ab" * 200, "a" + "x" * 12 + "b" + "y" * 12 + "c"])
    candidates = RegexSet(regexes).candidates(texts)
    assert 0 in told(candidates, 1)
