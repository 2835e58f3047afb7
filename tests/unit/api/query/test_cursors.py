"""Cursors of deep pages: what is written is read back, and nothing else is taken for one."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logsluice.api.query.cursors import Position, read_cursor, write_cursor
from logsluice.errors import LogsluiceError

POSITIONS = st.builds(Position, st.integers(-(2**62), 2**62), st.text(st.characters(codec="utf-8"), max_size=100))
QUESTIONS = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=10), st.integers(0, 9) | st.booleans())


@given(POSITIONS, QUESTIONS)
def test_a_cursor_is_read_back(position: Position, question: dict[str, object]) -> None:
    assert read_cursor(write_cursor(position, question), question) == position


@given(POSITIONS, QUESTIONS, QUESTIONS)
def test_a_cursor_belongs_to_its_question(
    position: Position, question: dict[str, object], other: dict[str, object]
) -> None:
    if orjson.dumps(question, option=orjson.OPT_SORT_KEYS) != orjson.dumps(other, option=orjson.OPT_SORT_KEYS):
        with pytest.raises(LogsluiceError, match="a cursor of another question"):
            read_cursor(write_cursor(position, question), other)


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda content: urlsafe_b64encode(content).decode()))
def test_whatever_else_is_given_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(LogsluiceError, match=r"^cursor: .*cursor"):
        read_cursor(text, {})


@given(st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3), st.lists))
def test_json_that_was_not_written_here_is_refused(content: object) -> None:
    text = urlsafe_b64encode(orjson.dumps(content)).decode().rstrip("=")
    with pytest.raises(LogsluiceError, match="cursor"):
        read_cursor(text, {})
