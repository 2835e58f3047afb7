"""An alert's life, and the same life whatever is killed in the middle."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from logsluice.alerts.conditions import Snapshot
from logsluice.alerts.documents import Alert, alert_from, document_of
from logsluice.alerts.evaluator import Evaluator
from logsluice.alerts.rules import ErrorCount, Pipeline, Rule, Silence
from logsluice.alerts.states import QUIET, Detection, Episode, advance
from logsluice.alerts.store import AlertStore
from logsluice.alerts.windows import Window, WindowTable

LINK = "http://127.0.0.1:8501/?from={from}&to={to}&service={service}&level={level}"
START = 29_000_160

sights = st.lists(st.booleans(), max_size=60)
holds = st.integers(1, 5)


def lived(seen: Iterable[bool], hold: int, resolve_after: int) -> list[tuple[int, str, Episode]]:
    state = QUIET
    transitions: list[tuple[int, str, Episode]] = []
    for minute, sight in enumerate(seen):
        detection = Detection(1, 0, "x") if sight else None
        state, transition, episode = advance(state, minute, detection, hold=hold, resolve_after=resolve_after)
        if transition and episode:
            transitions.append((minute, transition, episode))
    return transitions


@given(sights, holds, holds)
def test_opened_and_resolved_take_turns_and_wait_as_long_as_they_should(
    seen: list[bool], hold: int, resolve_after: int
) -> None:
    transitions = lived(seen, hold, resolve_after)
    assert [name for _, name, _ in transitions] == ["opened", "resolved"] * (len(transitions) // 2) + ["opened"] * (
        len(transitions) % 2
    )
    for minute, name, episode in transitions:
        if name == "opened":
            assert seen[minute - hold + 1 : minute + 1] == [True] * hold
            assert episode.opened == minute - hold + 1
        else:
            assert seen[minute - resolve_after + 1 : minute + 1] == [False] * resolve_after
            assert episode.last == minute - resolve_after
            assert seen[episode.last]
            assert episode.resolved == episode.last + 1


@given(sights, holds, holds)
def test_no_alert_is_missed_and_none_is_left_open(seen: list[bool], hold: int, resolve_after: int) -> None:
    transitions = lived([*seen, *[False] * resolve_after], hold, resolve_after)
    is_long = any(sight and len([*run]) >= hold for sight, run in groupby(seen))
    assert bool(transitions) == is_long
    assert len(transitions) % 2 == 0


@given(st.integers(1, 60), st.integers(2, 5))
def test_what_comes_and_goes_faster_than_it_may_resolve_is_one_alert(times: int, resolve_after: int) -> None:
    flapping = [True, *[False] * (resolve_after - 1)] * times
    assert [name for _, name, _ in lived(flapping, 1, resolve_after)] == ["opened"]


def rules(hold: int, resolve_after: int) -> list[Rule]:
    common = {"severity": "warning", "description": "d"}
    return [
        ErrorCount(name="errors", kind="error_count", threshold=5, hold=hold, resolve_after=resolve_after, **common),
        Silence(name="silence", kind="silence", min_silence=3, false_alarm=0.2, **common),
        Pipeline(name="pipeline", kind="pipeline", threshold=2, **common),
    ]


class Persisted:
    """What survives a kill: the alerts index, and what each output was told."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.notified: list[str] = []

    def alerts(self) -> list[Alert]:
        return [alert_from(document) for document in self.documents.values()]


class Process:
    """The job, without its threads."""

    def __init__(self, persisted: Persisted, all_rules: list[Rule], table: WindowTable, after: int) -> None:
        self.persisted, self.table = persisted, table
        self.evaluator = Evaluator(all_rules, [(alert.key, alert.episode) for alert in persisted.alerts()], after)
        self.store = AlertStore(["out"], LINK, persisted.alerts())
        self.waiting = [notification for _, notification in self.store.pending()]

    def tick(self, minute: int) -> None:
        newest = self.table.last_covered_minute(minute)
        complete = START if newest is None else newest
        self.waiting += self.store.apply(self.evaluator.evaluate(Snapshot(self.table), complete, minute))

    def record(self) -> None:
        changed = self.store.changed(0)
        self.persisted.documents.update((alert.id, document_of(alert)) for alert in changed)
        self.store.stored(changed)

    def notify(self) -> None:
        for notification in self.waiting:
            self.persisted.notified.append(notification.id)
            self.store.mark_notified("out", notification)
        self.waiting = []


windows = st.lists(st.tuples(st.sampled_from([None, 0, 9]), st.sampled_from([None, 0, 9])), min_size=1, max_size=50)
kills = st.lists(st.sampled_from(["run", "run", "run", "evaluated", "recorded", "notified"]), min_size=50, max_size=50)


def table_of(minutes: list[tuple[int | None, int | None]]) -> WindowTable:
    return WindowTable(
        Window(START + minute, service, 100, errors)
        for minute, pair in enumerate(minutes)
        for service, errors in zip("ab", pair, strict=True)
        if errors is not None
    )


def final(persisted: Persisted) -> dict[str, Any]:
    return {
        name: {**document, "alert": {**document["alert"], "pending": []}}
        for name, document in persisted.documents.items()
    }


@settings(max_examples=settings().max_examples * 3 // 2)
@given(windows, kills, holds, holds)
def test_a_kill_at_any_point_changes_nothing(
    minutes: list[tuple[int | None, int | None]], deaths: list[str], hold: int, resolve_after: int
) -> None:
    table, all_rules = table_of(minutes), rules(hold, resolve_after)
    undisturbed = Persisted()
    process = Process(undisturbed, all_rules, table, START - 1)
    for minute in range(START, START + len(minutes)):
        process.tick(minute)
        process.notify()
        process.record()

    persisted = Persisted()
    process = Process(persisted, all_rules, table, START - 1)
    for minute, death in zip(range(START, START + len(minutes)), deaths, strict=False):
        process.tick(minute)
        if death == "run":
            process.notify()
            process.record()
        elif death == "recorded":
            process.record()
        elif death == "notified":
            process.notify()
        if death != "run":
            process = Process(persisted, all_rules, table, START - 1)
    process.tick(START + len(minutes) - 1)
    process.notify()
    process.record()

    assert final(persisted) == final(undisturbed)
    assert sorted(set(persisted.notified)) == sorted(undisturbed.notified)
    assert not any(alert.pending for alert in persisted.alerts())


@given(windows, holds, holds)
@settings(max_examples=50, deadline=None)
def test_at_any_time_there_is_one_alert_of_a_rule_and_a_service(
    minutes: list[tuple[int | None, int | None]], hold: int, resolve_after: int
) -> None:
    persisted = Persisted()
    process = Process(persisted, rules(hold, resolve_after), table_of(minutes), START - 1)
    for minute in range(START, START + len(minutes)):
        process.tick(minute)
        process.record()
        still_open = [alert.key for alert in persisted.alerts() if alert.status == "open"]
        assert len(still_open) == len(set(still_open))
