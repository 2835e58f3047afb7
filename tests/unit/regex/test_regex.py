"""Both engines give the same answers, on generated patterns and generated text."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logsluice.errors import LogsluiceError
from logsluice.regex.compile import Regex, compile_regex
from logsluice.regex.timeout import RegexTimeoutError, time_limit

ALPHABET = "abzAZ019_- .,\n\t\r\x0b\x1c\x85é߀ſKΣσς٣中\x00{}$"
ATOMS = st.one_of(
    st.sampled_from(list("abzA19_é")),
    st.sampled_from([r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", ".", r"\.", r"\b", "^", "$", r"\Z", r"\A"]),
    st.sampled_from(["[a-z]", "[^a]", r"[\w.]", r"[^\s,]", r"[é-ſ]", "[A-Za]", r"[\d٣]", "[^é]", r"[^\W\d]"]),
)


def _extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    quantifier = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "*?", "+?", "??", "{0,2}?"])
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(inner, quantifier).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        inner.map(lambda body: f"({body})"),
    )


PATTERNS = st.tuples(
    st.sampled_from(["", "(?a)", "(?i)", "(?s)", "(?m)", "(?ai)", "(?ims)"]),
    st.recursive(ATOMS, _extend, max_leaves=8),
    st.recursive(ATOMS, _extend, max_leaves=5),
).map(lambda parts: f"{parts[0]}(?P<first>{parts[1]})(?P<second>{parts[2]})?")
TEXTS = st.lists(st.one_of(st.text(ALPHABET, max_size=12), st.text(max_size=8)), min_size=1, max_size=8)


def _runs_exactly(regex: Regex, text: str) -> bool:
    return (text.isascii() or not regex.needs_ascii) and not (regex.needs_no_final_newline and text.endswith("\n"))


def _rust(rust: str, text: str) -> tuple[str | None, ...] | None:
    whole = pl.Series([text]).str.extract_groups(f"({rust})").item()
    values = tuple(whole.values())
    return None if values[0] is None else values


def _python(match: re.Match[str] | None, regex: Regex) -> tuple[str | None, ...] | None:
    return None if match is None else (match[0], *(match[name] for name in regex.groups))


@settings(max_examples=15 * settings().max_examples)
@given(PATTERNS, TEXTS)
def test_rust_form_means_what_python_means(pattern: str, texts: list[str]) -> None:
    regex = compile_regex(pattern)
    if regex.rust is None or regex.rust_whole is None:
        assert regex.reason
        return
    for text in texts:
        if _runs_exactly(regex, text):
            assert _rust(regex.rust, text) == _python(regex.python.search(text), regex), text
            assert _rust(regex.rust_whole, text) == _python(regex.python.fullmatch(text), regex), text


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"(?<=a)b", "look-around"),
        (r"(a)\1", "back-reference"),
        (r"(?>a+)b", "atomic group"),
        (r"a++b", "possessive quantifier"),
        (r"(?:a|)*", "loop over what may be empty"),
        (r"(?P<x>a)+", "named group inside a loop"),
    ],
)
def test_what_rust_cannot_say_stays_with_re(pattern: str, reason: str) -> None:
    regex = compile_regex(pattern)
    assert regex.rust is None
    assert regex.reason == reason


def test_nested_quantifiers_run_on_the_linear_engine() -> None:
    regex = compile_regex("(a+)+b")
    assert regex.rust is not None
    assert not pl.Series(["a" * 5_000]).str.contains(regex.rust).item()


def test_a_runaway_search_is_stopped() -> None:
    regex = compile_regex(r"(?=a)(a+)+b")
    with pytest.raises(RegexTimeoutError), time_limit(0.05):
        regex.python.search("a" * 64)


def test_a_wrong_pattern_names_its_place() -> None:
    with pytest.raises(LogsluiceError, match="missing \\), unterminated subpattern at character 3"):
        compile_regex("ab(c")
