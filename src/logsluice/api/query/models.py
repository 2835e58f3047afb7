"""Response models as OpenAPI shows them, and how they are filled from Elasticsearch's responses."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from logsluice.api.query.cursors import Position
from logsluice.elasticsearch.search import MARK_BEGIN, MARK_END, found_part

Document = dict[str, Any]
"""An event, its fields named and nested as in Elastic Common Schema."""

# As the parameters of the URL.
_CAMEL_CASE: Final = ConfigDict(alias_generator=to_camel)


class Total(BaseModel):
    """How many events there are.

    Attributes:
        value: Their number.
        relation: ``eq`` where it is exact, ``gte`` where there are at least so many.
    """

    value: int
    relation: Literal["eq", "gte"]


class Page(BaseModel):
    """What every list has.

    Attributes:
        total: Events on all pages.
        startTime: From this moment on, by the events' own clock.
        endTime: Before this moment; null where there is no end.
        next: Give it as ``cursor`` to have the next page; null on the last one.
    """

    model_config = _CAMEL_CASE

    total: Total
    start_time: str
    end_time: str | None
    next: str | None


class Ids(Page):
    """Ids of events, newest first."""

    ids: list[str]


class Events(Page):
    """Events, newest first."""

    events: list[Document]


class Hit(BaseModel):
    """An event that was found.

    Attributes:
        highlight: The part of its message around the words that were found, as HTML: escaped, words within ``<em>``.
        event: The event.
    """

    highlight: str
    event: Document


class Hits(Page):
    """Events that were found, newest first."""

    hits: list[Hit]


class Count(BaseModel):
    """A number of events that share a value."""

    name: str
    events: int


class Hour(BaseModel):
    """What happened in an hour.

    Attributes:
        start: Its beginning, in UTC.
        events: All events.
        errors: Those of level ``error`` and worse.
    """

    start: str
    events: int
    errors: int


class TopError(BaseModel):
    """Errors of one type.

    Attributes:
        type: ``error.type``, or ``no type``.
        events: How many.
        services: Where most of them happened.
        newest: The newest one.
    """

    type: str
    events: int
    services: list[Count]
    newest: Document


class Stats(BaseModel):
    """Counts over a stretch of time, by the events' own clock.

    Attributes:
        startTime: From this moment on.
        endTime: Before this moment.
        total: All events.
        errors: Those of level ``error`` and worse.
        levels: By ``log.level``; ``unknown`` are events that name none.
        services: By ``service.name``, the most frequent ones; likewise.
        hours: Hours in which something happened.
        topErrors: The most frequent ``error.type``.
        patterns: Events in which each pattern was found.
    """

    model_config = _CAMEL_CASE

    start_time: str
    end_time: str
    total: int
    errors: int
    levels: list[Count]
    services: list[Count]
    hours: list[Hour]
    top_errors: list[TopError]
    patterns: list[Count]


class PatternInfo(BaseModel):
    """A pattern that is looked for in every message.

    Attributes:
        name: As in ``logsluice.patterns``.
        description: For people.
        regex: In Python's syntax.
        fields: The field that each named group fills.
        engine: ``rust`` runs in linear time, ``re`` is bounded in time.
    """

    name: str
    description: str
    regex: str
    fields: dict[str, str]
    engine: Literal["rust", "re"]


class Patterns(BaseModel):
    """The registry of patterns, in the order in which they are tried."""

    revision: Annotated[int, Field(ge=1)]
    patterns: list[PatternInfo]


class LineResult(BaseModel):
    """What a pattern found in a line.

    Attributes:
        line: As it was given.
        outcome: ``match``, ``no_match``, ``regex_timeout``, or why the line cannot be read.
        format: The format that was recognised.
        message: What was searched: the line without its header.
        fields: The facts, by field.
    """

    line: str
    outcome: str
    format: str | None
    message: str | None
    fields: dict[str, str | int | float | bool]


class TrialResult(BaseModel):
    """What a pattern found.

    Attributes:
        engine: ``rust`` would run it in linear time, ``re`` bounded in time.
        reason: Why only ``re`` can run it.
        results: Line by line.
    """

    engine: Literal["rust", "re"]
    reason: str | None
    results: list[LineResult]


def total_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """How many events Elasticsearch found."""
    found: dict[str, Any] = answer["hits"]["total"]
    return {"value": found["value"], "relation": found["relation"]}


def last_position(hits: Sequence[Mapping[str, Any]]) -> Position:
    """Where a page ends."""
    timestamp, event_id = hits[-1]["sort"]
    return Position(int(timestamp), event_id)


def highlighted_hit(hit: Mapping[str, Any]) -> dict[str, Any]:
    """A hit with the words that were found marked."""
    marked = html.escape(found_part(hit)).replace(MARK_BEGIN, "<em>").replace(MARK_END, "</em>")
    return {"highlight": marked, "event": hit["_source"]}


def stats_of(answer: Mapping[str, Any], start: str, end: str) -> dict[str, Any]:
    """Counts as :class:`Stats` has them; all are zero while there is no index to count in."""
    found = answer.get("aggregations", _NOTHING)
    return {
        "startTime": start,
        "endTime": end,
        "total": answer["hits"]["total"]["value"],
        "errors": found["errors"]["doc_count"],
        "levels": _counts(found["levels"]),
        "services": _counts(found["services"]),
        "hours": [
            {
                "start": bucket["key_as_string"],
                "events": bucket["doc_count"],
                "errors": bucket["errors"]["doc_count"],
            }
            for bucket in found["hours"]["buckets"]
        ],
        "topErrors": [
            {
                "type": bucket["key"],
                "events": bucket["doc_count"],
                "services": _counts(bucket["services"]),
                "newest": bucket["newest"]["hits"]["hits"][0]["_source"],
            }
            for bucket in found["errors"]["types"]["buckets"]
        ],
        "patterns": _counts(found["patterns"]),
    }


_NO_BUCKETS: Final[dict[str, Any]] = {"buckets": []}
_NOTHING: Final[dict[str, Any]] = {
    **dict.fromkeys(("levels", "services", "hours", "patterns"), _NO_BUCKETS),
    "errors": {"doc_count": 0, "types": _NO_BUCKETS},
}


def _counts(aggregation: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"name": bucket["key"], "events": bucket["doc_count"]} for bucket in aggregation["buckets"]]
