"""Elasticsearch request bodies: pure functions. Only what its core knows is used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from logsluice.api.query.conditions import Condition, severity_condition, to_millis
from logsluice.api.query.cursors import Position
from logsluice.elasticsearch.search import HIGHLIGHT, text_query

Body = dict[str, Any]

MOST_PAGED: Final = 10_000
"""How deep pages by number reach: ``index.max_result_window``, up to which every shard sorts all that it finds."""

MOST_COUNTED: Final = 10_000
"""Hits are counted exactly up to here."""

NO_TYPE: Final = "no type"
UNKNOWN: Final = "unknown"

_MOST_ROWS: Final = 100
_TOP_ERRORS: Final = 20
# Each day is a shard: with so many rows of its own each, the sums over all are those of all.
_SHARD_ROWS: Final = 2_000
_FUZZY_TERMS: Final = 50
_SORT: Final[list[Body]] = [
    {"@timestamp": {"order": "desc", "unmapped_type": "date", "format": "epoch_millis", "numeric_type": "date"}},
    {"event.id": {"order": "asc", "unmapped_type": "keyword"}},
]


def text_condition(query: str) -> Condition:
    """A query in Lucene's syntax, put so that it cannot make the server look at every term."""
    return text_query(query, allow_leading_wildcard=False, fuzzy_max_expansions=_FUZZY_TERMS)


def page_body(
    conditions: Sequence[Condition],
    *,
    size: int,
    skip: int = 0,
    after: Position | None = None,
    timeout: float,
    fields: Sequence[str] | None = None,
    text: str | None = None,
) -> Body:
    """A page of events, newest first.

    Args:
        conditions: What holds for every event.
        size: The most events.
        skip: How many events lie on the pages before.
        after: Instead of ``skip``: the last event of the page before.
        timeout: Seconds after which the server gives up.
        fields: The fields to give back; all but the original line where left out.
        text: A query in Lucene's syntax whose words are marked in the message.
    """
    source: Body = {"includes": list(fields)} if fields is not None else {"excludes": ["event.original"]}
    body: Body = {
        "query": {"bool": {"filter": [*conditions, *([text_condition(text)] if text else [])]}},
        "sort": _SORT,
        "size": size,
        "from": skip,
        "track_total_hits": MOST_COUNTED,
        "timeout": _seconds(timeout),
        "_source": source,
    }
    if after is not None:
        body["search_after"] = [after.timestamp_ms, after.event_id]
    if text:
        body["highlight"] = HIGHLIGHT
    return body


def stats_body(start: datetime, end: datetime, *, timeout: float) -> Body:
    """Counts over a stretch of time: by level, service and hour, the most frequent errors, matches by pattern."""
    begin, finish = to_millis(start), to_millis(end)
    return {
        "query": {
            "bool": {"filter": [{"range": {"@timestamp": {"gte": begin, "lt": finish, "format": "epoch_millis"}}}]}
        },
        "size": 0,
        "track_total_hits": True,
        "timeout": _seconds(timeout),
        "aggs": {
            "levels": _terms("log.level", _MOST_ROWS, missing=UNKNOWN),
            "services": _terms("service.name", _MOST_ROWS, missing=UNKNOWN),
            "patterns": _terms("logsluice.patterns", _SHARD_ROWS),
            "hours": {
                "date_histogram": {"field": "@timestamp", "fixed_interval": "1h", "min_doc_count": 1},
                "aggs": {"errors": {"filter": severity_condition("error")}},
            },
            "errors": {
                "filter": severity_condition("error"),
                "aggs": {
                    "types": {
                        **_terms("error.type", _TOP_ERRORS, missing=NO_TYPE),
                        "aggs": {
                            "services": {"terms": {"field": "service.name", "size": 5, "missing": UNKNOWN}},
                            "newest": {
                                "top_hits": {
                                    "size": 1,
                                    "sort": [{"@timestamp": {"order": "desc"}}],
                                    "_source": {"includes": ["@timestamp", "message", "event.id"]},
                                }
                            },
                        },
                    }
                },
            },
        },
    }


def _terms(name: str, size: int, missing: str | None = None) -> Body:
    body: Body = {"field": name, "size": size, "shard_size": max(_SHARD_ROWS, size)}
    return {"terms": body | ({"missing": missing} if missing else {})}


def _seconds(timeout: float) -> str:
    return f"{max(1, round(timeout * 1000))}ms"
