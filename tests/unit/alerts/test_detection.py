"""Twenty faults in a day of the shop's traffic are found, and little else is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from logsluice.alerts.baseline import History
from logsluice.alerts.evaluator import Evaluation, Evaluator
from logsluice.alerts.rules import load_rules
from tests.unit.alerts.faults import DAY, FAULTS, FIRST_MINUTE, Day, Placed, inject, past, place, simulate, snapshot

RULES = load_rules(Path(__file__).parents[3] / "config" / "dev")
SETTLES = 15
"""So many minutes after a fault its alerts may still be there: the last hour is what tells a drift."""


@pytest.fixture(scope="module")
def reference() -> Day:
    return simulate(seed=1_000)


@pytest.fixture(scope="module")
def history(reference: Day) -> History:
    return past(reference, seed=1_001)


def alerts_of(day: Day, history: History, reference: Day) -> list[Evaluation]:
    last = FIRST_MINUTE + DAY - 1
    evaluations = Evaluator(RULES, [], FIRST_MINUTE - 1).evaluate(snapshot(day, history, reference), last, last)
    return list({(v.key, v.episode.opened): v for v in evaluations}.values())


def explains(placed: Placed, alert: Evaluation) -> bool:
    fault, first, end = placed
    return (
        fault.service in ("*", alert.key.service)
        and alert.episode.opened < end + SETTLES
        and alert.episode.last >= first
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 12, 13])
def test_faults_are_found_and_little_else(seed: int, reference: Day, history: History) -> None:
    placed = place(FAULTS, seed)
    alerts = alerts_of(inject(simulate(seed), placed, seed), history, reference)
    missed = [
        each.fault.name
        for each in placed
        if not any(alert.rule.kind in each.fault.rules and explains(each, alert) for alert in alerts)
    ]
    false = [alert for alert in alerts if not any(explains(each, alert) for each in placed)]
    found = len(placed) - len(missed)
    listing = "\n".join(f"{a.episode.opened - FIRST_MINUTE} {a.episode.detection.text}" for a in false)
    assert found / len(placed) >= 0.9, f"missed: {missed}"
    assert found / (found + len(false)) >= 0.9, f"false:\n{listing}"
