"""Streams of one file: each is joined for itself, long lines are put together, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logsluice.inputs.files import split_lines
from logsluice.inputs.streams import StreamJoiner, join

TRACE = [
    "2026-11-22 10:14:13,123 ERROR [main] c.a.shop.Payment - charge failed",
    "java.lang.IllegalStateException: gateway said no",
    "\tat com.acme.shop.Payment.charge(Payment.java:42)",
    "Caused by: java.net.SocketTimeoutException: Read timed out",
    "\t... 23 more",
]
AFTER = "2026-11-22 10:14:14,001 INFO [main] c.a.shop.Payment - next"


def cri(text: str, stream: str = "stdout", tag: str = "F", nanoseconds: int = 0) -> str:
    return f"2026-11-22T10:14:13.{nanoseconds:09}Z {stream} {tag} {text}"


def json_file(text: str, stream: str = "stdout", end: str = "\n") -> str:
    return orjson.dumps({"log": text + end, "stream": stream, "time": "2026-11-22T10:14:13.1Z"}).decode()


def values(*lines: str) -> list[str]:
    data = "\n".join(lines).encode()
    return [event.value.decode() for event in join(split_lines([data]), StreamJoiner())]


WRAPPERS: dict[str, Callable[[str], str]] = {
    "cri": cri,
    "json-file": json_file,
    "compose": "checkout-1  | {}".format,
    "kubectl --prefix": "[pod/shop-5d9c/app] {}".format,
    "kubectl --timestamps": "2026-11-22T10:14:13.123456789Z {}".format,
    "kubectl --prefix --timestamps": "[pod/shop-5d9c/app] 2026-11-22T10:14:13.123456789Z {}".format,
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_trace_behind_prefixes_is_one_event_with_the_first_prefix(name: str) -> None:
    wrap = WRAPPERS[name]
    assert values(*map(wrap, [*TRACE, AFTER])) == [wrap("\n".join(TRACE)), wrap(AFTER)]


def test_parts_of_a_line_are_one_line() -> None:
    lines = [cri("first ", tag="P", nanoseconds=1), cri("second ", tag="P"), cri("third"), cri("other")]
    assert values(*lines) == [cri("first second third", nanoseconds=1), cri("other")]


def test_parts_of_a_json_file_line_are_one_line() -> None:
    assert values(json_file("first ", end=""), json_file("second")) == [json_file("first second")]


def test_a_part_that_nothing_follows_stays_one() -> None:
    assert values(cri("cut off", tag="P")) == [cri("cut off", tag="P")]


def test_streams_that_alternate_are_joined_each_for_itself() -> None:
    out, err = TRACE, [line.replace("shop", "mail") for line in TRACE]
    lines = [line for pair in zip(map(cri, out), (cri(line, "stderr") for line in err), strict=True) for line in pair]
    assert values(*lines) == [cri("\n".join(out)), cri("\n".join(err), "stderr")]


def test_an_event_says_what_lies_between_its_lines() -> None:
    lines = [cri(TRACE[0]), cri("listening", "stderr"), cri("done", "stderr"), cri(TRACE[1]), cri(TRACE[2])]
    data = "\n".join(lines).encode()
    starts = [line.offset for line in split_lines([data])]
    trace, *others = join(split_lines([data]))
    assert trace.gaps == ((starts[1], starts[3]),)
    assert [event.gaps for event in others] == [(), ()]


def test_a_stream_that_rests_gives_its_event_when_it_is_asked_for() -> None:
    joiner = StreamJoiner()
    quiet, *busy = split_lines(["\n".join([cri(TRACE[0], "stderr"), *map(cri, "abc")]).encode()])
    assert joiner.feed(quiet) == []
    fed = joiner.fed
    assert [event for line in busy for event in joiner.feed(line)] == []
    assert [event.value.decode() for event in joiner.end_quiet(fed + 1)] == [
        cri(TRACE[0], "stderr"), cri("a"), cri("b")
    ]  # fmt: skip


def test_a_level_in_front_of_a_bar_is_no_container() -> None:
    lines = ["info | 2026-11-22 10:14:13 started", "\tat work"]
    assert values(*lines) == ["\n".join(lines)]


def test_a_time_of_the_program_itself_is_no_prefix() -> None:
    lines = ["2026-11-22T10:14:13.123Z started", "2026-11-22T10:14:13.124Z KeyError: 'x'"]
    assert values(*lines) == lines


def test_an_idle_stream_keeps_nothing_back() -> None:
    joiner = StreamJoiner()
    data = "\n".join([cri("alone", "stderr"), *(cri(f"line {number}") for number in range(5_000))]).encode()
    given_at: list[int] = []
    for number, line in enumerate(split_lines([data])):
        given_at += [number] * len(joiner.feed(line))
    assert given_at[0] <= 2_001
    assert len(given_at) + len(joiner.flush()) == 5_001


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([*TRACE, AFTER, "plain"])), max_size=60))
def test_each_stream_is_joined_as_if_it_were_alone(written: list[tuple[str, str]]) -> None:
    mixed = values(*(f"{name}-1  | {text}" for name, text in written))
    for name in "abc":
        prefix = f"{name}-1  | "
        alone = values(*(prefix + text for owner, text in written if owner == name))
        assert [value for value in mixed if value.startswith(prefix)] == alone
    contents = [value.partition("| ")[2] for value in mixed]
    assert sorted(line for content in contents for line in content.split("\n")) == sorted(text for _, text in written)
