"""Going on after a crash: what is left of a file, and a state that never tells a lie."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from logsluice.inputs.files import split_lines
from logsluice.inputs.multiline import JoinedEvent
from logsluice.inputs.streams import StreamJoiner, join
from logsluice.ship.lookup import read_extent, write_mark
from logsluice.ship.resume import Extent, PositionTracker, UnstoredEvents
from logsluice.ship.state import FileState

TEXTS = st.lists(
    st.sampled_from(
        [
            "2026-11-22 10:14:13 ERROR x",
            "2026-11-22 10:14:14 INFO y",
            "java.lang.IllegalStateException: no",
            "more of its message",
            "\tat a.B.c(B.java:1)",
            "Caused by: java.io.IOException: z",
            "Traceback (most recent call last):",
            '  File "x.py", line 1, in y',
            "KeyError: 1",
            "",
            "plain",
        ]
    ),
    max_size=40,
)
WRITERS = st.lists(
    st.sampled_from(
        [
            "",
            "[pod/a/x] ",
            "[pod/b/x] ",
            "2026-11-22T10:14:13.000000001Z stdout F ",
            "2026-11-22T10:14:13.000000002Z stderr F ",
            "2026-11-22T10:14:13.000000002Z stderr P ",
            "web-1  | ",
        ]
    ),
    min_size=40,
    max_size=40,
)
"""Who wrote each line."""


def mixed(texts: list[str], writers: list[str]) -> bytes:
    return "\n".join(writer + text for writer, text in zip(writers, texts, strict=False)).encode()


def extent(event: JoinedEvent) -> Extent:
    return read_extent(write_mark("x", event).removeprefix(b"x:"))


def pieces(events: Iterable[tuple[int, Extent]]) -> list[tuple[int, int]]:
    return sorted(piece for offset, extent in events for piece in extent.pieces(offset))


@given(TEXTS, WRITERS, st.sets(st.integers(0, 40)), st.lists(st.booleans(), min_size=40, max_size=40), st.booleans())
def test_every_line_is_there_once(
    texts: list[str], writers: list[str], flushes: set[int], kept: list[bool], alone: bool
) -> None:
    data = "\n".join(texts).encode() if alone else mixed(texts, writers)
    lines = list(split_lines([data]))
    # The first run ends some events early, as it does when a file that is followed rests.
    joiner = StreamJoiner()
    first: list[JoinedEvent] = []
    for number, line in enumerate(lines):
        first += joiner.feed(line)
        if number in flushes:
            first += joiner.flush()
    first += joiner.flush()
    # Some of them were stored when it was killed.
    stored = [event for event, there in zip(first, kept, strict=False) if there]
    covered = {event.offset: extent(event) for event in stored}
    unstored = UnstoredEvents(StreamJoiner(), covered)
    second = [*unstored.feed(split_lines([data])), *unstored.joiner.flush()]
    assert unstored.already == len(covered)
    assert [event.offset for event in second] == sorted(event.offset for event in second)
    spans = pieces((event.offset, extent(event)) for event in stored + second)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    for line in (line for line, text in zip(lines, texts, strict=False) if text):
        assert sum(start <= line.offset < end for start, end in spans) == 1


@given(TEXTS)
def test_with_nothing_there_it_is_plain_joining(texts: list[str]) -> None:
    lines = list(split_lines(["\n".join(texts).encode()]))
    unstored = UnstoredEvents(StreamJoiner(), {})
    assert [*unstored.feed(lines), *unstored.joiner.flush()] == list(join(lines))


def test_the_rest_of_a_line_that_was_sent_unfinished() -> None:
    unstored = UnstoredEvents(StreamJoiner(), {0: Extent(4)})
    events = [*unstored.feed(split_lines([b"half and half\nnext\n"])), *unstored.joiner.flush()]
    assert [(event.value, event.offset) for event in events] == [(b" and half", 4), (b"next", 14)]


class CrashError(Exception):
    pass


class Broker:
    """Partitions that take records in the order of each producer, and acknowledge them later."""

    def __init__(self, random: Random, partitions: int) -> None:
        self.random = random
        self.log: list[list[tuple[int, Extent]]] = [[] for _ in range(partitions)]
        self.in_flight: list[list[tuple[int, Extent]]] = [[] for _ in range(partitions)]

    def ends(self) -> dict[int, int]:
        return {number: len(records) for number, records in enumerate(self.log)}

    def since(self, ends: dict[int, int]) -> dict[int, Extent]:
        return {
            offset: end for number, records in enumerate(self.log) for offset, end in records[ends.get(number, 0) :]
        }

    def take(self, partition: int) -> None:
        if self.in_flight[partition]:
            self.log[partition].append(self.in_flight[partition].pop(0))

    def lose_connection(self) -> None:
        for number, records in enumerate(self.in_flight):
            for _ in range(self.random.randint(0, len(records))):
                self.take(number)
            records.clear()


def run(data: bytes, saved: FileState, broker: Broker, *, may_crash: bool) -> FileState:
    """One run of a shipper; gives what is on disk when it ended, however it did."""
    random = broker.random
    state = copy.deepcopy(saved)
    covered: dict[int, Extent] = {}
    if state.sending:
        covered = {offset: end for offset, end in broker.since(state.ends).items() if offset >= state.position}
    unstored, progress = UnstoredEvents(StreamJoiner(), covered), PositionTracker(state, covered)
    unacknowledged: list[tuple[JoinedEvent, int, int]] = []
    unsent = state.position
    stop_at = random.randint(0, 60)

    def collect() -> None:
        while unacknowledged:
            event, partition, offset = unacknowledged[0]
            if len(broker.log[partition]) <= offset:
                return
            progress.acknowledged(event, partition, offset)
            del unacknowledged[0]

    def send(event: JoinedEvent) -> None:
        nonlocal saved
        if not state.sending:
            state.ends, state.sending = broker.ends(), True
            saved = copy.deepcopy(state)
        partition = random.randrange(len(broker.log))
        offset = len(broker.log[partition]) + len(broker.in_flight[partition])
        broker.in_flight[partition].append((event.offset, extent(event)))
        unacknowledged.append((event, partition, offset))
        for _ in range(random.randint(0, 3)):
            broker.take(random.randrange(len(broker.log)))
        if random.random() < 0.5:
            collect()
        if random.random() < 0.3:
            saved = copy.deepcopy(state)
        if may_crash and random.random() < 0.15:
            raise CrashError

    try:
        for number, line in enumerate(split_lines([data[state.position :]], state.position)):
            if may_crash and number == stop_at:
                break
            for event in unstored.feed([line]):
                send(event)
            unsent = line.end
        else:
            for event in unstored.joiner.flush():
                send(event)
    except CrashError:
        broker.lose_connection()
        return saved
    for partition in range(len(broker.log)):
        while broker.in_flight[partition]:
            broker.take(partition)
    collect()
    assert not unacknowledged
    begin = unstored.joiner.begin
    progress.settled(unsent if begin is None else begin)
    return copy.deepcopy(state)


@given(TEXTS, WRITERS, st.booleans(), st.integers(0, 2**32), st.integers(1, 4), st.integers(0, 6))
@settings(max_examples=3 * settings().max_examples)
def test_whatever_is_killed_every_event_is_there_once(
    texts: list[str], writers: list[str], alone: bool, seed: int, partitions: int, crashes: int
) -> None:
    data = "\n".join(texts).encode() if alone else mixed(texts, writers)
    is_once(data, seed, partitions, crashes)


def test_traces_of_two_pods_line_by_line_that_are_killed_again_and_again() -> None:
    trace = ["2026-11-22 10:14:13 ERROR x", "java.io.IOException: y", "\tat a.B.c(B.java:1)", "\tat a.B.d(B.java:2)"]
    pods = ("[pod/a/x] ", "[pod/b/x] ")
    data = "\n".join(pod + line for _ in range(5) for line in trace for pod in pods).encode()
    assert [event.lines for event in join(split_lines([data]))] == [4] * 10
    for seed in range(300):
        is_once(data, seed, partitions=2, crashes=5)


def test_a_long_file_that_is_killed_again_and_again() -> None:
    data = "\n".join(f"2026-11-22 10:14:13 ERROR {number}" for number in range(30)).encode()
    for seed in range(500):
        is_once(data, seed, partitions=3, crashes=5)


def is_once(data: bytes, seed: int, partitions: int, crashes: int) -> None:
    broker = Broker(Random(seed), partitions)
    saved = FileState(ship_id="x", path="x")
    for _ in range(crashes):
        saved = run(data, saved, broker, may_crash=True)
    saved = run(data, saved, broker, may_crash=False)
    there = sorted(span for records in broker.log for span in records)
    assert there == [(event.offset, extent(event)) for event in join(split_lines([data]))]
    assert not saved.sending
