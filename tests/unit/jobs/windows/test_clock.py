"""When a window is finished and who is late, as pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logsluice.errors import LogsluiceError
from logsluice.jobs.windows.clock import (
    HISTORY,
    SECOND,
    Clock,
    LatenessEvaluation,
    PartitionClock,
    PartitionStatus,
    WindowRules,
    evaluate_lateness,
    next_watermark,
)
from logsluice.settings import WindowsSettings, load_settings

RULES = WindowRules.of(WindowsSettings(watermark_seconds=10, idle_seconds=15, ahead_seconds=60))
MINUTE = 60 * SECOND
NOW = 1_790_000_000 * SECOND // MINUTE * MINUTE
EVENTS = st.lists(st.tuples(st.one_of(st.none(), st.integers(-600, 120)), st.integers(0, 30)), min_size=1, max_size=60)


def lateness(
    own: Sequence[int | None], appended: list[int], before: PartitionClock | None = None, watermark: int | None = None
) -> LatenessEvaluation:
    return evaluate_lateness(pl.Series(own, dtype=pl.Int64), pl.Series(appended), len(own), before, watermark, RULES)


def test_an_event_is_late_when_its_partition_had_moved_on() -> None:
    times = [NOW, NOW + MINUTE + 9 * SECOND, NOW + 1, NOW + MINUTE + 10 * SECOND, NOW + 1, NOW + MINUTE]
    found = lateness(times, [NOW + 2 * MINUTE] * 6)
    assert found.late.to_list() == [False, False, False, False, True, False]
    assert found.clock.clock == NOW + MINUTE + 10 * SECOND


def test_an_event_of_a_closed_window_is_late_whatever_its_partition_says() -> None:
    found = lateness([NOW, NOW + MINUTE], [NOW + MINUTE] * 2, watermark=NOW + MINUTE)
    assert found.late.to_list() == [True, False]


@pytest.mark.parametrize("own", [None, NOW, NOW + 61 * SECOND, NOW * 2])
def test_what_has_no_time_that_can_be_true_takes_that_of_its_arrival(own: int | None) -> None:
    found = lateness([own], [NOW])
    assert found.time.to_list() == [NOW]
    assert found.untimed.to_list() == [True]


def test_a_clock_that_is_ahead_is_believed_but_moves_nothing() -> None:
    found = lateness([NOW + 59 * SECOND], [NOW])
    assert found.time.to_list() == [NOW + 59 * SECOND]
    assert (found.clock.clock, found.clock.latest) == (NOW, NOW + 59 * SECOND)


def test_a_wrong_year_makes_nobody_else_late() -> None:
    found = lateness([NOW - 1, NOW * 2, 1, None, NOW], [NOW + SECOND * number for number in range(5)])
    assert found.late.to_list() == [False, False, True, False, False]
    assert found.time.to_list()[3] == NOW + 3 * SECOND


def test_what_has_no_time_within_history_is_history() -> None:
    old = NOW - HISTORY - SECOND
    found = lateness([None, old, None, NOW - SECOND, None], [NOW] * 5)
    assert found.time.to_list() == [old, old, old, NOW - SECOND, NOW]
    following = lateness([None], [NOW + HISTORY * 9], before=found.clock)
    assert following.time.to_list() == [NOW + HISTORY * 9]


@given(events=EVENTS, cut=st.integers(0, 60), watermark=st.one_of(st.none(), st.integers(-600, 0)))
def test_who_is_late_does_not_depend_on_how_events_are_cut_into_batches(
    events: list[tuple[int | None, int]], cut: int, watermark: int | None
) -> None:
    # The first one has a time: before that, a batch can only look at itself.
    events = [(0, 0), *events]
    arrivals = [NOW + SECOND * sum(gap for _, gap in events[: place + 1]) for place in range(len(events))]
    own = [None if age is None else arrived + age * SECOND for (age, _), arrived in zip(events, arrivals, strict=True)]
    own[0] = NOW - 1
    closed = None if watermark is None else NOW + watermark * SECOND
    whole = lateness(own, arrivals, watermark=closed)
    cut = min(max(cut, 1), len(events))
    first = lateness(own[:cut], arrivals[:cut], watermark=closed)
    rest = lateness(own[cut:], arrivals[cut:], first.clock, closed) if cut < len(events) else None
    late = first.late.to_list() + (rest.late.to_list() if rest else [])
    times = first.time.to_list() + (rest.time.to_list() if rest else [])
    assert (times, late) == (whole.time.to_list(), whole.late.to_list())
    last = (rest or first).clock
    assert last.clock == whole.clock.clock
    assert last.latest == whole.clock.latest


def clock_at(*seconds: int, watermark: int | None = None) -> Clock:
    partitions = {
        number: PartitionClock(1, NOW + second * SECOND, NOW + second * SECOND) for number, second in enumerate(seconds)
    }
    return Clock(partitions, watermark)


def test_the_partition_that_is_furthest_behind_decides() -> None:
    readings = {0: PartitionStatus(True, 0), 1: PartitionStatus(True, 0)}
    assert next_watermark(clock_at(100, 3_000), readings, RULES) == NOW + 90 * SECOND


def test_one_of_which_nothing_was_read_yet_holds_the_others() -> None:
    readings = {0: PartitionStatus(True, 0), 7: PartitionStatus(True, 0)}
    assert next_watermark(clock_at(100), readings, RULES) is None
    assert next_watermark(clock_at(100, watermark=5), readings, RULES) == 5


def test_an_empty_or_silent_partition_holds_nobody() -> None:
    readings = {0: PartitionStatus(False, 20 * SECOND), 1: PartitionStatus(True, 0), 2: PartitionStatus(False, SECOND)}
    assert next_watermark(clock_at(5, 100), readings, RULES) == NOW + 90 * SECOND


def test_a_silent_partition_with_a_backlog_is_not_idle() -> None:
    readings = {0: PartitionStatus(True, 3_600 * SECOND), 1: PartitionStatus(True, 0)}
    assert next_watermark(clock_at(5, 100), readings, RULES) == NOW - 5 * SECOND


def test_silence_closes_what_is_open_and_no_more() -> None:
    def after(silent: int) -> int | None:
        return next_watermark(clock_at(0, 70), dict.fromkeys((0, 1), PartitionStatus(False, silent * SECOND)), RULES)

    assert after(14) == NOW - 10 * SECOND
    assert after(15) == NOW + 75 * SECOND
    assert after(60) == NOW + 120 * SECOND
    assert after(86_400) == NOW + 120 * SECOND


@given(
    seconds=st.lists(st.integers(0, 600), min_size=1, max_size=4),
    behind=st.lists(st.booleans(), min_size=4, max_size=4),
    silent=st.lists(st.integers(0, 60), min_size=4, max_size=4),
    watermark=st.one_of(st.none(), st.integers(0, 600)),
)
def test_the_watermark_never_goes_back_and_never_overtakes_a_backlog(
    seconds: list[int], behind: list[bool], silent: list[int], watermark: int | None
) -> None:
    before = None if watermark is None else NOW + watermark * SECOND
    readings = {number: PartitionStatus(behind[number], silent[number] * SECOND) for number in range(len(seconds))}
    after = next_watermark(clock_at(*seconds, watermark=before), readings, RULES)
    if before is not None:
        assert after is not None
        assert after >= before
    waiting = [second for number, second in enumerate(seconds) if behind[number]]
    if after is not None and after != before and waiting:
        assert after <= NOW + (min(waiting) - 10) * SECOND


def test_a_clock_survives_the_checkpoint() -> None:
    clock = clock_at(1, 2, watermark=NOW)
    clock.closed, clock.waiting = NOW - MINUTE, [(NOW, "auth")]
    assert Clock.from_json(clock.to_json()) == clock


def test_a_window_must_divide_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGSLUICE_WINDOWS__WINDOW_SECONDS", "7")
    with pytest.raises(LogsluiceError, match="does not divide an hour"):
        load_settings()
