"""The facts in one message, and the registry held to its own examples."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

import polars as pl

from logsluice.extract.bounded import BoundedSearch, Search
from logsluice.extract.decode import FUTURE_MICROS
from logsluice.extract.documents import format_instants
from logsluice.extract.values import Value, read_value
from logsluice.formats import read_timestamp
from logsluice.formats.defaults import KEYED_TIMESTAMPS
from logsluice.patterns import Fact, Pattern
from logsluice.regex.timeout import RegexTimeoutError

_EXAMPLES_SEEN_MS = int(datetime.fromisoformat("2026-12-31T23:59:59+00:00").timestamp() * 1000)


class Facts(NamedTuple):
    """What patterns found in a message.

    Attributes:
        patterns: Names of the patterns found.
        values: By field; dates are microseconds since the epoch.
        time_remarks: What is uncertain about ``@timestamp``, as :class:`logsluice.formats.timestamps.Reading` has it.
    """

    patterns: list[str]
    values: dict[str, Value]
    time_remarks: int


def find_facts(
    patterns: Iterable[Pattern],
    message: str,
    reference_ms: int,
    time_zone: str,
    search: Search,
    known: Collection[str] = (),
) -> Facts:
    """Search every pattern in a message; of patterns that fill the same field the first wins.

    A pattern is found when it matches and one of its groups took part, or when it matches and has none.

    Args:
        known: The fields that the header gives.

    Raises:
        RegexTimeoutError: A pattern took too long.
    """
    found = []
    facts: dict[str, Value] = {}
    time_remarks = 0
    for pattern in patterns:
        if pattern.fallback and (pattern.first_field in known or pattern.first_field in facts):
            continue
        match = search(pattern.compiled.python, message)
        if match is None:
            continue
        groups = {
            group: text
            for group, text in match.groupdict().items()
            if text is not None and not _is_excluded(text, pattern.fields[group], search)
        }
        if pattern.fields and not groups:
            continue
        found.append(pattern.name)
        for group, fact in pattern.fields.items():
            if group not in groups or fact.field in facts:
                continue
            text = groups[group]
            if fact.type == "date":
                reading = read_timestamp(text, KEYED_TIMESTAMPS, reference_ms, time_zone)
                if reading is not None and not (_is_others(fact, reading.instant, reference_ms) and pattern.fallback):
                    facts[fact.field] = reading.instant
                    time_remarks = reading.remarks if fact.field == "@timestamp" else time_remarks
            else:
                value = read_value(text, fact.type)
                if value is not None:
                    facts[fact.field] = value
    return Facts(found, facts, time_remarks)


def _is_others(fact: Fact, instant: int, reference_ms: int) -> bool:
    """Whether a date in a message cannot be that of the event, since it is later than its reading."""
    return fact.field == "@timestamp" and instant > reference_ms * 1000 + FUTURE_MICROS


def _is_excluded(text: str, fact: Fact, search: Search) -> bool:
    return fact.excluded is not None and search(fact.excluded.python, text, whole=True) is not None


def check_pattern(pattern: Pattern) -> Iterator[str]:
    """Hold a pattern to its examples; yields a line for each that it does not keep."""
    search = BoundedSearch()
    for example in pattern.examples:
        try:
            found, facts, _ = find_facts([pattern], example.message, _EXAMPLES_SEEN_MS, "UTC", search)
        except RegexTimeoutError:
            yield f"takes too long on its example {example.message!r}: write it without nested repetition"
            continue
        if not found:
            yield f"does not match its example {example.message!r}"
        for field, expected in example.fields.items():
            actual = facts.get(field)
            if actual is not None and field_is_date(pattern, field):
                actual = format_instants(pl.Series([actual])).item()
            if found and actual != expected:
                yield f"gives {field} = {actual!r}, not {expected!r}, in its example {example.message!r}"
    for message in pattern.counterexamples:
        try:
            if find_facts([pattern], message, _EXAMPLES_SEEN_MS, "UTC", search).patterns:
                yield f"matches its counterexample {message!r}"
        except RegexTimeoutError:
            yield f"takes too long on its counterexample {message!r}: write it without nested repetition"


def field_is_date(pattern: Pattern, field: str) -> bool:
    """Whether a pattern fills the field with a date."""
    return any(fact.field == field and fact.type == "date" for fact in pattern.fields.values())
