"""The facts in one message, and the registry held to its own examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import polars as pl

from logsluice.event.ecs import FieldType
from logsluice.extract.bounded import BoundedSearch, Search
from logsluice.extract.documents import format_instants
from logsluice.extract.values import Value, read_value
from logsluice.formats import parse_timestamp
from logsluice.formats.defaults import KEYED_TIMESTAMPS
from logsluice.patterns import Pattern
from logsluice.regex.timeout import RegexTimeoutError

_EXAMPLES_SEEN_MS = int(datetime.fromisoformat("2026-12-31T23:59:59+00:00").timestamp() * 1000)


def find_facts(
    patterns: Iterable[Pattern], message: str, reference_ms: int, time_zone: str, search: Search
) -> tuple[list[str], dict[str, Value]]:
    """Search every pattern in a message.

    Returns:
        Names of the patterns found, and values by field; of patterns that fill the same field the first wins.
        Dates are microseconds since the epoch. A pattern is found when it matches and one of its groups took
        part, or when it matches and has none.

    Raises:
        RegexTimeoutError: A pattern took too long.
    """
    found = []
    facts: dict[str, Value] = {}
    for pattern in patterns:
        match = search(pattern.compiled.python, message)
        if match is None:
            continue
        groups = match.groupdict()
        if groups and all(text is None for text in groups.values()):
            continue
        found.append(pattern.name)
        for group, fact in pattern.fields.items():
            text = groups[group]
            value = None if text is None else read_fact(text, fact.type, reference_ms, time_zone)
            if value is not None:
                facts.setdefault(fact.field, value)
    return found, facts


def read_fact(text: str, kind: FieldType, reference_ms: int, time_zone: str) -> Value | None:
    """Read a group's text as its type; dates in any of the usual syntaxes."""
    if kind == "date":
        return parse_timestamp(text, KEYED_TIMESTAMPS, reference_ms, time_zone)
    return read_value(text, kind)


def check_pattern(pattern: Pattern) -> Iterator[str]:
    """Hold a pattern to its examples; yields a line for each that it does not keep."""
    search = BoundedSearch()
    for example in pattern.examples:
        try:
            found, facts = find_facts([pattern], example.message, _EXAMPLES_SEEN_MS, "UTC", search)
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
            if find_facts([pattern], message, _EXAMPLES_SEEN_MS, "UTC", search)[0]:
                yield f"matches its counterexample {message!r}"
        except RegexTimeoutError:
            yield f"takes too long on its counterexample {message!r}: write it without nested repetition"


def field_is_date(pattern: Pattern, field: str) -> bool:
    """Whether a pattern fills the field with a date."""
    return any(fact.field == field and fact.type == "date" for fact in pattern.fields.values())
