"""What a pattern's trial may take: no more memory than the API's container has beside the API, whatever the pattern."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import ValidationError

from logsluice.api.problems import ProblemError
from logsluice.api.query.pattern_routes import MAX_TRIAL_CHARACTERS, PatternTrial
from logsluice.api.query.pattern_trials import PatternTrialPool, Trial

CONFIG = Path(__file__).parents[4] / "config" / "dev"
MOST_BYTES = 400_000_000
"""Of the process, with some 100 MB of code that it shares with the API."""

GREEDY = {
    "a class after another": r"\w" * 1_900,
    "folded characters": r"(?i)" + r"ä\w" * 1_260,
    "negated classes": r"[^\w]" * 700,
    "two classes in turn": r"(?:\d\w)" * 570,
    "a loop in a loop": r"(?:[a-z]{1000}){1000}",
    "groups in groups": "(" * 90 + "a" + ")*" * 90,
    "many groups": "".join(f"(?P<g{number}>\\w)" for number in range(150)),
}


async def run_measured(pool: PatternTrialPool, trial: Trial, others: list[psutil.Process]) -> tuple[Any, int]:
    """What came of a trial, and the most bytes that its process held.

    Args:
        others: Processes of other tests, such as the servers that a session of tests keeps.
    """
    running, most = asyncio.ensure_future(pool.run(trial)), 0
    while not running.done():
        await asyncio.sleep(0.005)
        for child in set(psutil.Process().children(recursive=True)).difference(others):
            try:
                most = max(most, child.memory_info().rss)
            except psutil.Error:
                continue
    return running.exception() or running.result(), most


@pytest.mark.slow
def test_no_pattern_takes_more_memory_than_there_is(recwarn: pytest.WarningsRecorder) -> None:
    async def try_all() -> None:
        others = psutil.Process().children(recursive=True)
        pool = PatternTrialPool(CONFIG, "UTC")
        try:
            for name, regex in GREEDY.items():
                fields = {f"g{number}": "labels.group" for number in range(150)} if "?P" in regex else {}
                outcome, most = await run_measured(pool, Trial(regex, fields, ["a" * 60_000] * 5), others)
                assert isinstance(outcome, dict | ProblemError), f"{name}: {outcome!r}"
                assert most < MOST_BYTES, f"{name}: {most / 1e6:.0f} MB"
            outcome, most = await run_measured(pool, Trial("x", {}, ["a" * 65_000 + "\N{GRINNING FACE}"] * 200), others)
            assert isinstance(outcome, ProblemError), "52 MB of lines are more than a trial may take"
            assert most < MOST_BYTES
            outcome, _ = await run_measured(pool, Trial("b", {}, ["abc"]), others)
            assert outcome["results"][0]["outcome"] == "match"
        finally:
            pool.close()

    asyncio.run(try_all())


@pytest.mark.slow
def test_a_trial_is_refused_while_too_many_wait() -> None:
    async def run_twelve() -> list[dict[str, Any] | BaseException]:
        pool = PatternTrialPool(CONFIG, "UTC")
        try:
            trials = [pool.run(Trial("a", {}, ["a"])) for _ in range(12)]
            return await asyncio.gather(*trials, return_exceptions=True)
        finally:
            pool.close()

    refused = [outcome for outcome in asyncio.run(run_twelve()) if isinstance(outcome, ProblemError)]
    assert [(each.status, each.headers["Retry-After"]) for each in refused] == [(503, "5")] * 2


def test_the_lines_of_a_trial_are_bounded_together() -> None:
    PatternTrial(regex="a", lines=["a" * 50_000] * 20)
    with pytest.raises(ValidationError, match=f"{MAX_TRIAL_CHARACTERS:,} characters in all"):
        PatternTrial(regex="a", lines=["a" * 50_000] * 21)
