"""Counts over the last hours."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from logsluice.api.query.parameters import refuse_others
from logsluice.api.query.responses import MAY_QUERY, Document, cached_response, response_schemas
from logsluice.api.resources import ResourcesOf
from logsluice.elasticsearch.queries import NO_TYPE, UNKNOWN, Body, counting, is_error, terms, time_range
from logsluice.event.moments import iso

router = APIRouter(tags=["query"])

MOST_HOURS: Final = 24 * 31
_MOST_ROWS: Final = 100
_MOST_PATTERNS: Final = 2_000
_TOP_ERRORS: Final = 20
_NO_BUCKETS: Final[dict[str, Any]] = {"buckets": []}
_NOTHING: Final[dict[str, Any]] = {
    **dict.fromkeys(("levels", "services", "hours", "patterns"), _NO_BUCKETS),
    "errors": {"doc_count": 0, "types": _NO_BUCKETS},
}


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

    model_config = ConfigDict(alias_generator=to_camel)

    start_time: str
    end_time: str
    total: int
    errors: int
    levels: list[Count]
    services: list[Count]
    hours: list[Hour]
    top_errors: list[TopError]
    patterns: list[Count]


@router.get("/stats", dependencies=MAY_QUERY, responses=response_schemas(Stats, 504))
async def stats(
    request: Request,
    resources: ResourcesOf,
    hours_back: Annotated[int, Query(alias="hoursBack", ge=1, le=MOST_HOURS)] = 24,
) -> Response:
    """Events by level, service, hour and pattern, and the most frequent errors, of the last hours until now."""
    refuse_others(request, ("hoursBack",))
    end = datetime.now(UTC)
    start = end - timedelta(hours=hours_back)

    async def fetch() -> dict[str, Any]:
        timeout = f"{max(1, round(resources.repository.seconds * 1000))}ms"
        body = counting(time_range(start, end), _aggregations(), timeout)
        answer = await resources.repository.search(resources.settings.results_index, body, "stats")
        # There are no aggregations while there is no index to count in.
        return {
            "startTime": iso(start),
            "endTime": iso(end),
            "total": answer["hits"]["total"]["value"],
            **_counted(answer.get("aggregations", _NOTHING)),
        }

    return await cached_response(request, resources, {}, fetch, max_age=None)


def _aggregations() -> Body:
    newest = {
        "size": 1,
        "sort": [{"@timestamp": {"order": "desc"}}],
        "_source": {"includes": ["@timestamp", "message", "event.id"]},
    }
    types = terms("error.type", _TOP_ERRORS, missing=NO_TYPE)
    types["aggs"] = {
        "services": {"terms": {"field": "service.name", "size": 5, "missing": UNKNOWN}},
        "newest": {"top_hits": newest},
    }
    return {
        "levels": terms("log.level", _MOST_ROWS, missing=UNKNOWN),
        "services": terms("service.name", _MOST_ROWS, missing=UNKNOWN),
        "patterns": terms("logsluice.patterns", _MOST_PATTERNS),
        "hours": {
            "date_histogram": {"field": "@timestamp", "fixed_interval": "1h", "min_doc_count": 1},
            "aggs": {"errors": {"filter": is_error()}},
        },
        "errors": {"filter": is_error(), "aggs": {"types": types}},
    }


def _counted(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
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


def _counts(aggregation: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"name": bucket["key"], "events": bucket["doc_count"]} for bucket in aggregation["buckets"]]
