"""What is taken off a text before it is read, by both ways alike."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logsluice.extract.decode import bare, bare_column

PIECES = [
    "\x1b[31m", "#033[0m", r"\x1b[2m", r"\u001b[1;31m", r"\033[0m", r"\e[0m", "^[[0m", "#012", "#011", "#012#011",
    "\0", "\0\0", "\ufeff", "\r", "\n", "order #012 paid", "[1m", "ä", " ", "x",
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("#033[32m INFO#033[0m ready", " INFO ready"),
        (r"\x1b[33m[Nest] 6\x1b[39m up", "[Nest] 6 up"),
        ("\0\0\0\0started", "started"),
        ("failed#012#011at a.B.c(B.java:1)", "failed\n\tat a.B.c(B.java:1)"),
        ("order #012 paid", "order #012 paid"),
        ("\ufeffready\r", "ready"),
    ],
)
def test_what_is_taken_off(text: str, wanted: str) -> None:
    assert bare(text) == wanted


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), min_size=1, max_size=8))
def test_a_column_is_read_as_its_texts(texts: list[str]) -> None:
    assert bare_column(pl.Series(texts)).to_list() == [bare(text) for text in texts]
