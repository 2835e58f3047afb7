from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import polars as pl
import pytest

from logsluice.event.ecs import LEVELS
from logsluice.formats import Format, load_formats
from logsluice.formats.examples import check_examples, first_match
from logsluice.formats.fragments import FRAGMENTS, syntaxes_in
from logsluice.formats.levels import LEVEL_BY_SPELLING
from logsluice.formats.model import Example

FORMATS = load_formats(None)
BY_REGEX = [entry for entry in FORMATS if entry.regex is not None]
LINES = [example.line for entry in FORMATS for example in entry.examples]


def test_every_example_is_won_by_its_own_format_and_read_as_it_says() -> None:
    assert check_examples(FORMATS) == []


def test_every_format_has_an_example() -> None:
    assert [entry.name for entry in FORMATS if not entry.examples] == []


def test_names_are_unique() -> None:
    assert [name for name, times in Counter(entry.name for entry in FORMATS).items() if times > 1] == []


def test_the_last_format_takes_every_line() -> None:
    assert FORMATS[-1].name == "plain"
    for line in ("", "x", "two\nlines\n", "\x00", "\ud83d\ude00"):
        assert FORMATS[-1].regex is not None
        assert FORMATS[-1].regex.python.fullmatch(line)


def test_every_format_runs_on_the_fast_engine_exactly() -> None:
    for entry in BY_REGEX:
        assert entry.regex is not None
        assert entry.regex.rust is not None, f"{entry.name}: {entry.regex.reason}"
        assert not entry.regex.needs_ascii, entry.name
        assert not entry.regex.needs_no_final_newline, entry.name


@pytest.mark.parametrize("entry", BY_REGEX, ids=lambda entry: entry.name)
def test_both_engines_match_the_same_examples_with_the_same_groups(entry: Format) -> None:
    assert entry.regex is not None
    assert entry.regex.rust_whole is not None
    column = pl.Series(LINES)
    matched = column.str.contains(entry.regex.rust_whole).to_list()
    expected = [entry.regex.python.fullmatch(line) for line in LINES]
    assert matched == [match is not None for match in expected]
    for line, match in zip(LINES, expected, strict=True):
        if match is not None:
            groups = pl.Series([line]).str.extract_groups(entry.regex.rust_whole).struct.unnest().row(0)
            assert groups == tuple(match[name] for name in entry.regex.groups)


@pytest.mark.parametrize("entry", BY_REGEX, ids=lambda entry: entry.name)
def test_a_message_may_go_on_over_lines(entry: Format) -> None:
    """What is joined when files are read stays in the message, whatever the format."""
    ends_free = ("message", "joined")
    for example in entry.examples:
        assert entry.regex is not None
        match = entry.regex.python.fullmatch(example.line)
        assert match is not None
        ends = [name for name in ends_free if name in match.groupdict() and match.end(name) == len(example.line)]
        if not ends:
            continue
        joined = example.line + "\njava.io.IOException: x\n\tat a.B.c(D.java:1)"
        found = first_match(joined, FORMATS, 1_768_000_000_000)
        assert found is not None
        assert found[1]["message"].endswith("(D.java:1)"), found[0].name


def test_levels_are_of_the_known_ones() -> None:
    assert set(LEVEL_BY_SPELLING.values()) == set(LEVELS)


def test_a_wrong_example_is_said() -> None:
    plain = FORMATS[-1]
    wrong = replace(
        plain, examples=(Example(line="hello", fields={"message": "bye"}), Example(line="WARN  x", fields={}))
    )
    problems = check_examples((*FORMATS[:-1], wrong))
    assert problems == [
        "plain: message of 'hello' is 'hello', not 'bye'",
        "plain: generic.level-first takes 'WARN  x'",
    ]
    assert check_examples((replace(FORMATS[0], examples=(Example(line="hello"),)),)) == [
        f"{FORMATS[0].name}: no format takes 'hello'"
    ]


def test_when_is_wide_enough_for_the_syntaxes_it_stands_for() -> None:
    when = re.compile(re.sub(r"%\{([a-z_]+)\}", lambda name: FRAGMENTS[name[1]], FRAGMENTS["when"]))
    for text in (
        "2024-01-31T10:15:30.123+02:00",
        "2024/01/31 10:15:30",
        "24/01/31 10:15:30",
        "Jan 31 10:15:30",
        "Wed Jan 31 10:15:30 2024",
        "Wed Jan 31 10:15:30 UTC 2024",
        "31/Jan/2024:10:15:30 +0000",
        "31-Jan-2024 10:15:30.123",
        "Wed, 31 Jan 2024 10:15:30 GMT",
        "Jan 31, 2024 3:15:30 PM",
        "1/31/2024 3:15:30 PM",
        "31.01.2024 10:15:30,5",
        "2024.01.31-10.15.30:123",
        "2024 Jan 31 10:15:30",
        "31 Jan 10:15:30.123",
        "2024-01-31-10.15.30.123456",
    ):
        assert when.fullmatch(text), text
    assert set(syntaxes_in("%{when}")) <= set(syntaxes_in("%{when}|%{iso8601}"))
    assert "iso8601" in syntaxes_in("%{when}")
