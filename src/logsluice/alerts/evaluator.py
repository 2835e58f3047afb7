"""Evaluates every rule over every minute, in order: minutes in, opened and resolved alerts out.

What comes out follows from the windows alone. An evaluator that starts anew knows nothing but the alerts that were
recorded, takes each key up where its last alert was left, and so comes to what it would have
come to had it never stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from logsluice.alerts.conditions import DAY_MINUTES, Snapshot, detect
from logsluice.alerts.rules import Pipeline, Rule
from logsluice.alerts.states import QUIET, Episode, Key, State, Transition, advance


class Evaluation(NamedTuple):
    """What a minute did to an alert, as it is now; it has no transition where it goes on."""

    rule: Rule
    key: Key
    episode: Episode
    transition: Transition | None


class Evaluator:
    """Rules and where each of their keys stands.

    Args:
        recorded: What the alerts of before are for and about: every open one, and those resolved of late.
        after: Minutes up to this one are over: only keys with an alert that was open then look at them again, at the
            last day of them.
    """

    def __init__(self, rules: Sequence[Rule], recorded: Iterable[tuple[Key, Episode]], after: int) -> None:
        self._rules = {rule.name: rule for rule in rules}
        self._states: dict[str, dict[Key, State]] = {rule.name: {} for rule in rules}
        self._settled: dict[Key, int] = {}
        self._after = after
        latest: dict[Key, Episode] = {}
        for key, episode in sorted(recorded, key=lambda each: each[1].opened):
            if key.rule in self._rules:
                latest[key] = episode
        starts = [after]
        for key, episode in latest.items():
            if episode.resolved is None:
                self._states[key.rule][key] = State(open=episode)
                self._settled[key] = max(episode.last, after - DAY_MINUTES)
                starts.append(self._settled[key])
            else:
                self._settled[key] = episode.last + self._rules[key.rule].resolve_after
        self._evaluated_until = self._pipeline_until = min(starts)

    @property
    def evaluated_until(self) -> int:
        """Everything up to this minute is evaluated, but for the rules about the pipeline."""
        return self._evaluated_until

    def evaluate(self, snapshot: Snapshot, services_until: int, pipeline_until: int) -> list[Evaluation]:
        """Evaluate the minutes that were not evaluated yet, up to the last one whose windows are all there.

        Minutes in which no service has a window are left out. The rules about the pipeline itself are evaluated in all
        of them, up to the last minute that is over by the clock.
        """
        evaluations: list[Evaluation] = []
        for minute in range(
            min(self._evaluated_until, self._pipeline_until) + 1, max(services_until, pipeline_until) + 1
        ):
            services_due = (
                self._evaluated_until < minute <= services_until
                and snapshot.windows.last_covered_minute(minute) == minute
            )
            pipeline_due = self._pipeline_until < minute <= pipeline_until
            for rule in self._rules.values():
                if pipeline_due if isinstance(rule, Pipeline) else services_due:
                    evaluations += self._evaluate_rule(rule, snapshot, minute)
        self._evaluated_until = max(self._evaluated_until, services_until)
        self._pipeline_until = max(self._pipeline_until, pipeline_until)
        return evaluations

    def _evaluate_rule(self, rule: Rule, snapshot: Snapshot, minute: int) -> list[Evaluation]:
        states = self._states[rule.name]
        detections = detect(rule, snapshot, minute)
        evaluations = []
        for key in [*states, *(key for key in detections if key not in states)]:
            if minute <= self._settled.get(key, self._after):
                continue
            state, transition, episode = advance(
                states.get(key, QUIET),
                minute,
                detections.get(key),
                hold=rule.hold,
                resolve_after=rule.resolve_after,
            )
            if state == QUIET:
                states.pop(key, None)
            else:
                states[key] = state
            if episode:
                evaluations.append(Evaluation(rule, key, episode, transition))
        return evaluations
