"""Parts of searches in Elasticsearch's query language: pure functions, of what the server's core knows alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from logsluice.event.ecs import ERROR_LEVELS, LEVELS, SERVER_ERROR
from logsluice.event.moments import to_millis

Body = dict[str, Any]

NO_TYPE: Final = "no type"
"""How errors without ``error.type`` are counted."""
UNKNOWN: Final = "unknown"
"""How events without a level or a service are counted."""
IF_THERE: Final[Body] = {"ignore_unavailable": True, "allow_no_indices": True}
"""Options of a search: an alias that is not there yet is like one with nothing behind it."""
NEWEST_FIRST: Final[Body] = {"@timestamp": {"order": "desc", "unmapped_type": "date"}}

# Each day is a shard: with so many rows of its own each, the sums over all are those of all.
_SHARD_ROWS: Final = 2_000


def time_range(since: datetime | int | None, until: datetime | int | None, field: str = "@timestamp") -> Body:
    """A condition on a time: from ``since`` on and before ``until``, moments or milliseconds since the epoch."""
    bounds = {
        name: to_millis(moment) if isinstance(moment, datetime) else moment
        for name, moment in (("gte", since), ("lt", until))
        if moment is not None
    }
    return {"range": {field: {**bounds, "format": "epoch_millis"}}}


def at_least(level: str) -> Body:
    """A condition that an event is of this level or a worse one."""
    return {"terms": {"log.level": list(LEVELS[LEVELS.index(level) :])}}


def is_error() -> Body:
    """A condition that an event counts as an error: by its level, or by an HTTP status of 500 or more."""
    return any_of(at_least(ERROR_LEVELS[0]), {"range": {"http.response.status_code": {"gte": SERVER_ERROR}}})


def text_query(query: str, **options: Any) -> Body:
    """A condition in Lucene's query syntax; several words are all to be found.

    Args:
        query: The condition.
        options: Further options of ``query_string``.
    """
    return {"query_string": {"query": query, "default_operator": "and", "lenient": True, **options}}


def every(*conditions: Body) -> Body:
    """All of these conditions."""
    return {"bool": {"filter": list(conditions)}}


def any_of(*conditions: Body) -> Body:
    """At least one of these conditions."""
    return {"bool": {"should": list(conditions), "minimum_should_match": 1}}


def without(field: str) -> Body:
    """A condition that a document has no such field."""
    return {"bool": {"must_not": {"exists": {"field": field}}}}


def counted_as(field: str, value: str, absent: str) -> Body:
    """A condition for a row of :func:`terms`, where documents without the field have the name ``absent``."""
    has_value = {"term": {field: value}}
    return has_value if value != absent else any_of(has_value, without(field))


def terms(field: str, size: int, missing: str | None = None) -> Body:
    """Documents by a field's value, most first; those without it as ``missing``, where that is given."""
    body: Body = {"field": field, "size": size, "shard_size": max(_SHARD_ROWS, size)}
    return {"terms": body | ({"missing": missing} if missing else {})}


def counting(query: Body, aggregations: Body, timeout: str) -> Body:
    """A search that counts, and gives no documents back."""
    return {"query": query, "size": 0, "track_total_hits": True, "timeout": timeout, "aggs": aggregations}
