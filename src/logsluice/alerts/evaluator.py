"""Minutes in, alerts out: every rule over every minute, in their order.

What comes out follows from the windows alone. A judge that starts anew knows nothing but the alerts that were recorded
(:class:`Recorded`), takes each key up where its last alert was left, and so comes to what it would have come to had it
never stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from logsluice.alerts.conditions import DAY_MINUTES, Facts, look
from logsluice.alerts.rules import Pipeline, Rule
from logsluice.alerts.states import QUIET, Episode, Key, State, Transition, advance


class Recorded(NamedTuple):
    """An alert that is known from before.

    Attributes:
        key: What it is for.
        episode: What it is about.
    """

    key: Key
    episode: Episode


class Verdict(NamedTuple):
    """What a minute did to an alert.

    Attributes:
        rule: Whose alert it is.
        key: What it is for.
        episode: As it is now.
        transition: ``opened`` or ``resolved``; ``None`` where it goes on.
    """

    rule: Rule
    key: Key
    episode: Episode
    transition: Transition | None


class Judge:
    """Rules and where each of their keys stands.

    Args:
        rules: The rules.
        recorded: The alerts of before: every open one, and those resolved of late.
        after: Minutes up to this one are over: only keys with an alert that was open then look at them again, at the
            last day of them.
    """

    def __init__(self, rules: Sequence[Rule], recorded: Iterable[Recorded], after: int) -> None:
        self._rules = {rule.name: rule for rule in rules}
        self._states: dict[str, dict[Key, State]] = {rule.name: {} for rule in rules}
        self._settled: dict[Key, int] = {}
        self._after = after
        latest: dict[Key, Episode] = {}
        for key, episode in sorted(recorded, key=lambda each: each.episode.opened):
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
        self._judged = self._watched = min(starts)

    @property
    def judged(self) -> int:
        """Everything up to this minute is judged, but for the rules about the pipeline."""
        return self._judged

    def judge(self, facts: Facts, services_until: int, pipeline_until: int) -> list[Verdict]:
        """Judge the minutes that were not judged yet.

        Minutes in which no service has a window are left out, but for the rules about the pipeline itself.

        Args:
            facts: What there is to look at.
            services_until: The last minute whose windows are all there.
            pipeline_until: The last minute that is over by the clock.
        """
        verdicts: list[Verdict] = []
        for minute in range(min(self._judged, self._watched) + 1, max(services_until, pipeline_until) + 1):
            alive = self._judged < minute <= services_until and facts.board.last_alive(minute) == minute
            watched = self._watched < minute <= pipeline_until
            for rule in self._rules.values():
                if watched if isinstance(rule, Pipeline) else alive:
                    verdicts += self._judge(rule, facts, minute)
        self._judged = max(self._judged, services_until)
        self._watched = max(self._watched, pipeline_until)
        return verdicts

    def _judge(self, rule: Rule, facts: Facts, minute: int) -> list[Verdict]:
        states = self._states[rule.name]
        sightings = look(rule, facts, minute)
        verdicts = []
        for key in [*states, *(key for key in sightings if key not in states)]:
            if minute <= self._settled.get(key, self._after):
                continue
            state, transition, episode = advance(
                states.get(key, QUIET),
                minute,
                sightings.get(key),
                hold=rule.hold,
                resolve_after=rule.resolve_after,
            )
            if state == QUIET:
                states.pop(key, None)
            else:
                states[key] = state
            if episode:
                verdicts.append(Verdict(rule, key, episode, transition))
        return verdicts
