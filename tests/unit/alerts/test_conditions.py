"""What each kind of rule sees, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest

from logsluice.alerts.baseline import History, HourSummary, MedianAndMad, cusum
from logsluice.alerts.conditions import Snapshot, detect
from logsluice.alerts.error_classes import ErrorClassCount, ErrorClasses
from logsluice.alerts.evaluator import Evaluator
from logsluice.alerts.rules import NewError, Pipeline, Refunds, Rule, Silence, Unusual
from logsluice.alerts.windows import Watermark, Window, WindowTable
from logsluice.settings import AlertSettings
from tests.shared.hour_summaries import summarize_hours

START = 29_000_160
HOUR = START // 60
COMMON = {"name": "r", "severity": "warning", "description": "d"}
SILENCE = Silence(kind="silence", **COMMON)
PIPELINE = Pipeline(kind="pipeline", **COMMON)
EVENTS = Unusual(kind="unusual", metric="events", **COMMON)
REFUNDS = Refunds(kind="refunds", **COMMON)
NEW_ERROR = NewError(kind="new_error", **COMMON)


def seen(rule: Rule, snapshot: Snapshot, minutes: Iterable[int]) -> dict[str, list[int]]:
    """The minutes, counted from the start, in which a rule sees something, by service."""
    found: dict[str, list[int]] = {}
    for minute in minutes:
        for key in detect(rule, snapshot, START + minute):
            found.setdefault(key.service, []).append(minute)
    return found


def steady(services: str, minutes: Iterable[int], events: int = 100) -> list[Window]:
    return [Window(START + minute, service, events) for minute in minutes for service in services]


def hours(service: str, events: dict[int, float]) -> list[HourSummary]:
    """Hours before the start, by how many hours before."""
    return [HourSummary(service, HOUR - ago, 60, {"events": MedianAndMad(median, 5)}) for ago, median in events.items()]


def test_silence_is_seen_when_others_speak_and_over_when_the_service_does() -> None:
    table = WindowTable(steady("a", range(120)) + steady("b", [*range(60), *range(80, 120)]))
    assert seen(SILENCE, Snapshot(table), range(60, 120)) == {"b": [*range(64, 80)]}


def test_when_nobody_speaks_it_is_the_pipeline_and_no_services_silence() -> None:
    table = WindowTable(steady("abc", [*range(60), *range(90, 120)]))
    assert seen(SILENCE, Snapshot(table), range(120)) == {}
    assert seen(PIPELINE, Snapshot(table), range(60, 120)) == {"*": [*range(64, 90)]}


def test_after_a_standstill_a_service_has_as_long_to_speak_as_before_it() -> None:
    table = WindowTable(steady("a", [*range(60), *range(600, 620)]) + steady("b", range(60)))
    assert seen(SILENCE, Snapshot(table), range(600, 620)) == {"b": [*range(604, 620)]}


def test_the_rarer_a_service_speaks_the_longer_it_may_be_silent() -> None:
    table = WindowTable(steady("a", range(400)) + steady("b", range(0, 300, 3)))
    first = seen(SILENCE, Snapshot(table), range(300, 400))["b"][0]
    assert 320 < first < 350


def test_what_spoke_for_a_few_minutes_is_not_expected_to_speak() -> None:
    table = WindowTable(steady("a", range(1_000)) + steady("b", range(100, 104)))
    assert seen(SILENCE, Snapshot(table), range(100, 1_000)) == {}


def test_a_service_that_is_often_silent_so_long_is_left_alone() -> None:
    speaks = [minute for minute in range(720) if minute % 60 < 30]
    table = WindowTable(steady("a", range(720)) + steady("b", speaks))
    assert seen(SILENCE, Snapshot(table), range(200, 720)) == {}


def test_a_service_that_never_speaks_at_this_hour_is_left_alone() -> None:
    table = WindowTable(steady("a", range(-60, 60)) + steady("b", range(-60, 0)))
    nightly = History(
        [HourSummary("a", hour, 60) for hour in range(HOUR - 100, HOUR)]
        + [HourSummary("b", hour, 60) for hour in range(HOUR - 100, HOUR) if (hour - HOUR) % 24 == 23]
    )
    assert seen(SILENCE, Snapshot(table), range(60)) == {"b": [*range(4, 60)]}
    assert seen(SILENCE, Snapshot(table, nightly), range(60)) == {}


def test_a_silence_of_a_day_is_the_new_normal() -> None:
    table = WindowTable(steady("a", range(2_000)) + steady("b", range(60)))
    assert seen(SILENCE, Snapshot(table), range(60, 2_000))["b"][-1] == 59 + 1_440


def test_the_hour_of_the_week_is_the_usual_before_the_hour_of_the_day_and_that_before_everything() -> None:
    weeks = {168 * week + hour: 1_000.0 for week in (1, 2, 3) for hour in (-1, 0, 1)}
    days = {24 * day + hour: 100.0 for day in range(1, 7) for hour in (-1, 0, 1)}
    others = dict.fromkeys(range(3, 20), 10.0)
    middle = START + 30
    for known, center in ((others | days | weeks, 1_000), (others | days, 100), (others, 10)):
        baseline = History(hours("a", known)).baseline("a", "events", middle, 28 * 1_440)
        assert baseline is not None
        assert baseline.center == center
    assert History(hours("a", {1: 10.0, 2: 10.0})).baseline("a", "events", middle, 28 * 1_440) is None


def test_between_two_hours_the_usual_goes_on_a_straight_line() -> None:
    known = {24 * day: 100.0 for day in range(1, 7)} | {24 * day - 1: 200.0 for day in range(1, 7)}
    history = History(hours("a", known))
    centers = [history.baseline("a", "events", START + minute, 28 * 1_440) for minute in (30, 60, 75, 89)]
    assert [round(each.center) for each in centers if each] == [100, 150, 175, 198]


def test_what_comes_later_does_not_change_what_was_usual() -> None:
    history = History(hours("a", dict.fromkeys(range(1, 30), 100.0)))
    before = history.baseline("a", "events", START + 30, 28 * 1_440)
    history.add([HourSummary("a", HOUR + ahead, 60, {"events": MedianAndMad(9_000, 5)}) for ahead in range(50)])
    assert history.baseline("a", "events", START + 30, 28 * 1_440) == before


def test_one_wild_hour_does_not_move_the_usual() -> None:
    calm = History(hours("a", dict.fromkeys(range(1, 30), 100.0)))
    wild = History(hours("a", dict.fromkeys(range(1, 30), 100.0) | {5: 50_000.0}))
    assert calm.baseline("a", "events", START, 28 * 1_440) == wild.baseline("a", "events", START, 28 * 1_440)


@pytest.fixture(scope="module")
def calm() -> History:
    random = Random(5)
    return History(
        summarize_hours(
            (Window(START - ago, "a", round(random.gauss(100, 10)), p50=1e8) for ago in range(1, 2_000)),
            ("events", "p50"),
        )
    )


def unusual(rule: Rule, calm: History, numbers: list[int]) -> list[int]:
    table = WindowTable(Window(START + minute, "a", number) for minute, number in enumerate(numbers))
    return seen(rule, Snapshot(table, calm), range(len(numbers))).get("a", [])


def test_a_single_window_far_off_is_seen_above_and_below(calm: History) -> None:
    numbers = [100] * 40
    numbers[10], numbers[20] = 170, 30
    assert unusual(EVENTS, calm, numbers) == [10, 20]
    high = EVENTS.model_copy(update={"direction": "high"})
    assert unusual(high, calm, numbers) == [10]


def test_small_differences_add_up_and_are_over_soon_after_they_end(calm: History) -> None:
    numbers = [100] * 20 + [135] * 40 + [100] * 30
    minutes = unusual(EVENTS, calm, numbers)
    assert 25 <= minutes[0] <= 32
    assert minutes == [*range(minutes[0], minutes[-1] + 1)]
    assert 59 <= minutes[-1] <= 63


def test_noise_is_not_unusual(calm: History) -> None:
    random = Random(6)
    assert unusual(EVENTS, calm, [round(random.gauss(100, 10)) for _ in range(1_500)]) == []


def test_a_difference_that_is_sure_but_small_is_left_alone(calm: History) -> None:
    assert unusual(EVENTS, calm, [115] * 120) == []


def test_durations_are_compared_by_their_ratio(calm: History) -> None:
    rule = EVENTS.model_copy(update={"metric": "p50"})
    table = WindowTable(Window(START + minute, "a", 100, p50=1e8 * (3 if minute == 5 else 1)) for minute in range(10))
    (detection,) = detect(rule, Snapshot(table, calm), START + 5).values()
    assert "300 ms, usually 100 ms" in detection.text


def test_the_cumulative_sum_is_pages() -> None:
    away = [0.5, 3, -1, 2, 9, 0]
    running = 0.0
    for each in away:
        running = max(0.0, running + min(each, 4) - 1)
    assert cusum(away, 1, 4) == pytest.approx(running)


def payments(refunds: int, minutes: range, of: int = 20) -> list[Window]:
    return [Window(START + minute, "pay", 100, payments=of, refunds=refunds) for minute in minutes]


def test_refunds_are_held_against_payments_and_against_what_is_usual() -> None:
    table = WindowTable(payments(2, range(60)) + payments(9, range(60, 70)) + payments(2, range(70, 100)))
    baseline = History([HourSummary("pay", HOUR - ago, 60, {}, payments=1_200, refunds=120) for ago in range(1, 10)])
    minutes = seen(REFUNDS, Snapshot(table, baseline), range(100))["pay"]
    assert minutes[0] in (62, 63, 64, 65)
    assert minutes[-1] < 86
    generous = History([HourSummary("pay", HOUR - ago, 60, {}, payments=1_200, refunds=600) for ago in range(1, 10)])
    assert seen(REFUNDS, Snapshot(table, generous), range(100)) == {}


def test_more_payments_explain_more_refunds() -> None:
    table = WindowTable(payments(2, range(60)) + payments(10, range(60, 100), of=100))
    assert seen(REFUNDS, Snapshot(table), range(100)) == {}


def test_a_class_of_error_is_new_once_and_only_where_the_service_is_known() -> None:
    table = WindowTable(steady("ab", range(-300, 100)) + steady("c", range(-10, 100)))
    reported = [ErrorClassCount(service, "New", START + minute, 1) for service in "ac" for minute in (10, 12, 95)]
    old = [ErrorClassCount("b", "Old", START + minute, 1) for minute in (-200, 10)]
    snapshot = Snapshot(table, classes=ErrorClasses({}, [*reported, *old]))
    assert seen(NEW_ERROR, snapshot, range(100)) == {"a": [*range(10, 17)]}
    (key,) = detect(NEW_ERROR, snapshot, START + 12)
    assert key.error_type == "New"
    assert detect(NEW_ERROR, snapshot, START + 12)[key].value == 2


def test_the_newest_window_decides_how_far_is_evaluated() -> None:
    watermark = Watermark(AlertSettings(allowance_seconds=10))
    now = (START + 10) * 60 + 15.0
    assert watermark.closed(now) == START + 9
    assert watermark.closed(now - 6) == START + 8
    assert watermark.complete(WindowTable(steady("a", range(10))), now) == START + 9
    behind = WindowTable(steady("a", range(6)))
    assert watermark.complete(behind, now) == START + 4, "the newest may still grow"
    assert watermark.complete(behind, now + 30) == START + 4
    assert watermark.complete(behind, now + 60) == START + 5, "and has not"
    behind.add(steady("a", [5], events=101))
    assert watermark.complete(behind, now + 61) == START + 4


def test_nothing_is_evaluated_in_minutes_that_no_window_covers() -> None:
    rule = EVENTS.model_copy(update={"name": "x"})
    evaluator = Evaluator([SILENCE, rule], [], START - 1)
    assert evaluator.evaluate(Snapshot(WindowTable()), START + 500, START + 500) == []
    assert evaluator.evaluated_until == START + 500
