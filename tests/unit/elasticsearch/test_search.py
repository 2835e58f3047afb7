from __future__ import annotations

import pytest

from logsluice.cli.search import highlighted
from logsluice.elasticsearch.search import MARK_BEGIN, MARK_END, Search, build_query, crop, facts
from logsluice.errors import LogsluiceError
from logsluice.runtime.terminal import printable


def test_all_words_are_wanted_and_the_newest_come_first() -> None:
    body = build_query(Search("payment failed", size=5))
    (text,) = body["query"]["bool"]["must"]
    assert (text["query_string"]["query"], text["query_string"]["default_operator"]) == ("payment failed", "and")
    assert body["query"]["bool"]["filter"] == []
    assert body["size"] == 5
    assert next(iter(body["sort"][0])) == "@timestamp"


def test_since_goes_by_the_events_own_time() -> None:
    assert build_query(Search("x", since="15m"))["query"]["bool"]["filter"] == [
        {"range": {"@timestamp": {"gte": "now-15m"}}}
    ]


def test_a_level_means_that_or_worse() -> None:
    assert build_query(Search("x", level="warn"))["query"]["bool"]["filter"] == [
        {"terms": {"log.level": ["warn", "error", "critical"]}}
    ]


@pytest.mark.parametrize("wanted", [Search("x", since="soon"), Search("x", since="5 m"), Search("x", level="bad")])
def test_what_cannot_be_read_is_named(wanted: Search) -> None:
    with pytest.raises(LogsluiceError, match=f"{wanted.since or wanted.level}"):
        build_query(wanted)


def test_facts_are_what_the_other_columns_do_not_show() -> None:
    document = {
        "@timestamp": "t",
        "message": "m",
        "log": {"level": "error", "logger": "shop"},
        "service": {"name": "s"},
        "user": {"id": "7"},
        "event": {"id": "e", "duration": 5},
        "kafka": {"offset": 1},
        "logsluice": {"revision": 1},
        "labels": {"shop": "x"},
    }
    assert facts(document) == {"log.logger": "shop", "user.id": "7", "event.duration": 5, "labels.shop": "x"}


def test_a_log_cannot_send_orders_to_the_terminal() -> None:
    assert printable("a\x1b[2J\x00\n\tb\x9b") == "a\\x1b[2J\\x00⏎ b\\x9b"


def test_marked_words_are_set_off_and_the_marks_are_gone() -> None:
    shown = highlighted("a <b> c <d", "<", ">")
    assert shown.plain == "a b c d"
    assert [shown.plain[span.start : span.end] for span in shown.spans if span.style] == ["b"]


def test_of_a_long_message_the_part_around_the_first_marked_word_is_kept() -> None:
    found = f"{MARK_BEGIN}found{MARK_END}"
    assert crop("x" * 1_000 + found + "y" * 1_000, 30) == "…" + "x" * 10 + found + "y" * 13 + "…"
    assert crop(found + "y" * 1_000, 10) == found + "y" * 3 + "…"
    assert crop("no mark " * 100, 10) == "no mark no…"
    assert crop("short", 10) == "short"
