"""Where each field of a line comes from, and what else would have given it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from logsluice.extract import decode
from logsluice.extract.bounded import BoundedSearch
from logsluice.extract.columnar import ColumnarExtractor
from logsluice.extract.facts import find_facts
from logsluice.extract.layers import MOST_LAYERS
from logsluice.extract.registry import Registry
from logsluice.extract.schema import FOUND, LABELS, REASON, TAGS, input_columns
from logsluice.extract.text_names import names_in_text
from logsluice.extract.values import Value, read_value
from logsluice.formats import TIME_REMARKS, Format
from logsluice.formats.examples import first_match
from logsluice.regex.timeout import RegexTimeoutError

_NOT_FOUND_IN_IT = frozenset({REASON, TAGS, FOUND, LABELS, "event.original", "event.dataset"})


class Candidate(NamedTuple):
    """Something that gives a field a value.

    Attributes:
        origin: A format, a pattern, or a name of the vocabulary.
        value: As it would be stored; a date in microseconds since the epoch.
    """

    origin: str
    value: Value


class Layer(NamedTuple):
    """A line, or a line within one, as formats take it.

    Attributes:
        format: The one that takes it.
        others: Those that would take it where this one did not.
    """

    format: str
    others: tuple[str, ...]


class Provenance(NamedTuple):
    """One field of the record.

    Attributes:
        field: Its dotted name.
        value: What is stored.
        origin: Who gave it; None where it follows from other fields.
        competitors: Who else would have given it, in the order in which they would have been asked.
    """

    field: str
    value: Any
    origin: str | None
    competitors: tuple[Candidate, ...]


class Explanation(NamedTuple):
    """How a line was read: from the outermost layer to the innermost, then field by field."""

    layers: list[Layer]
    fields: list[Provenance]


def explain(line: bytes, registry: Registry, *, seen_ms: int, time_zone: str = "UTC") -> Explanation:
    """Tell for each field of a line's record which format, name or pattern gave it, and what else competed.

    Args:
        line: The event.
        registry: What it is read with.
        seen_ms: When it was seen, milliseconds since the epoch.
        time_zone: IANA zone of times that name none.
    """
    (record,) = ColumnarExtractor(registry, time_zone).extract(input_columns([line], [seen_ms])).to_pylist()
    layers, headers = _layers(line, registry, seen_ms, time_zone)
    candidates: dict[str, list[Candidate]] = {}
    for origin, values in [*reversed(headers), *_in_message(record["message"] or "", registry, seen_ms, time_zone)]:
        for field, value in values.items():
            candidates.setdefault(field, []).append(Candidate(origin, value))
    fields = [
        _provenance(field, value, candidates.get(field, []))
        for field, value in record.items()
        if value is not None and field not in _NOT_FOUND_IN_IT
    ]
    return Explanation(layers, fields)


def _layers(
    line: bytes, registry: Registry, seen_ms: int, time_zone: str
) -> tuple[list[Layer], list[tuple[str, dict[str, Value]]]]:
    """The layers, and what each one's header gives."""
    layers: list[Layer] = []
    headers: list[tuple[str, dict[str, Value]]] = []
    text = decode.bare(line.decode("utf-8", "replace"))
    for depth in range(MOST_LAYERS + 1):
        fits = list(_fitting(text, registry, seen_ms, time_zone, inside=depth > 0))
        if not fits:
            break
        (chosen, texts), *others = fits
        layers.append(Layer(chosen.name, tuple(dict.fromkeys(other.name for other, _ in others))))
        headers.append((f"format {chosen.name}", _typed(texts, registry)))
        if not chosen.wraps:
            break
        text = decode.bare(texts["message"])
    return layers, headers


def _fitting(
    text: str, registry: Registry, seen_ms: int, time_zone: str, *, inside: bool
) -> Iterator[tuple[Format, dict[str, str]]]:
    """Every format that takes a text, with what it reads; within others only those that may stand there."""
    for entry in registry.formats:
        if inside and (entry.standalone or entry is registry.formats[-1]):
            continue
        found = first_match(text, [entry], seen_ms, time_zone)
        if found is not None:
            yield found


def _typed(texts: dict[str, str], registry: Registry) -> dict[str, Value]:
    typed: dict[str, Value] = {}
    for field, text in texts.items():
        if field == TIME_REMARKS:
            continue
        kind = registry.fields.get(field, "keyword")
        value = int(text) if kind == "date" else read_value(text, kind)
        if value is not None:
            typed[field] = value
    return typed


def _in_message(
    message: str, registry: Registry, seen_ms: int, time_zone: str
) -> Iterator[tuple[str, dict[str, Value]]]:
    search = BoundedSearch()
    own = registry.patterns.own
    for pattern in (*registry.patterns.patterns[:own], None, *registry.patterns.patterns[own:]):
        if pattern is None:
            yield "vocabulary", names_in_text(registry.vocabulary, registry.fields, message)
            continue
        try:
            yield f"pattern {pattern.name}", find_facts([pattern], message, seen_ms, time_zone, search).values
        except RegexTimeoutError:
            continue


def _provenance(field: str, value: Any, candidates: list[Candidate]) -> Provenance:
    stored = int(value.timestamp() * 1_000_000) if hasattr(value, "timestamp") else value
    giver = next((candidate for candidate in candidates if candidate.value == stored), None)
    others = tuple(candidate for candidate in candidates if candidate is not giver)
    return Provenance(field, value, None if giver is None else giver.origin, others)
