from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logsluice.formats import KeyedEvent, load_formats, read_logfmt

FORMATS = tuple(entry for entry in load_formats(None) if entry.kind == "logfmt")


def read(text: str) -> KeyedEvent:
    event = read_logfmt(text, FORMATS)
    assert event is not None
    return event


def test_pairs_become_fields() -> None:
    event = read('time=2024-03-05T10:11:12Z level=error msg="cannot \\"save\\"\\n" user_id=7 empty= took=12ms')
    assert event.timestamp == "2024-03-05T10:11:12Z"
    assert event.level == "error"
    assert event.message == 'cannot "save"\n'
    assert event.fields == {"user.id": "7", "event.duration": "12ms"}
    assert event.labels == {"empty": ""}


def test_a_backslash_that_escapes_nothing_stays() -> None:
    assert read(r'level=info dir="C:\dir"').labels == {"dir": r"C:\dir"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain words",
        "level=info",
        "a=1",
        "a=1 b=2 and more",
        "colour=red size=very large price=12 shape=round",
        "the level=info of msg=this is prose",
        'level=info msg="unterminated',
        "level=info msg=a b=c d",
        'level=info msg=a"b" c=d',
        "=x level=info",
        "level=info\nmsg=x",
    ],
)
def test_what_is_not_logfmt(text: str) -> None:
    assert read_logfmt(text, FORMATS) is None


def test_pairs_and_nothing_else_need_no_time_nor_level() -> None:
    event = read("a=1 b=2")
    assert event.labels == {"a": "1", "b": "2"}
    assert event.message is None


def test_values_may_have_blanks_where_the_keys_are_known() -> None:
    event = read("rt=Mar 05 2024 10:11:12 GMT src=192.0.2.7 spt=4012 shop=Main Street suser=ann b act=allow")
    assert event.timestamp == "Mar 05 2024 10:11:12 GMT"
    assert event.fields == {
        "source.ip": "192.0.2.7",
        "source.port": "4012",
        "user.name": "ann b",
        "event.action": "allow",
    }
    assert event.labels == {"shop": "Main Street"}


def test_commas_between_pairs_are_no_part_of_values() -> None:
    assert read("type=LOGIN, user='ann', ip=192.0.2.7, reason=none at all").fields == {
        "source.ip": "192.0.2.7",
        "user.name": "ann",
        "event.reason": "none at all",
    }


def test_a_long_line_is_read_in_linear_time() -> None:
    assert read_logfmt("level=info msg=" + '"\\' * 500_000, FORMATS) is None
    assert len(read("level=info " + "a=b " * 100_000).labels) == 1


@given(st.text(alphabet=st.sampled_from('ab=" \\\n0') | st.characters()))
def test_no_text_makes_it_fail(text: str) -> None:
    read_logfmt(text, FORMATS)
    read_logfmt("level=info " + text, FORMATS)
