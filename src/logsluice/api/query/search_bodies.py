"""Elasticsearch request bodies: pure functions. Only what its core knows is used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from logsluice.api.query.cursors import Position
from logsluice.elasticsearch.queries import (
    NO_TYPE,
    UNKNOWN,
    Body,
    at_least,
    counting,
    every,
    terms,
    text_query,
    time_range,
)
from logsluice.elasticsearch.search import HIGHLIGHT

MOST_PAGED: Final = 10_000
"""How deep pages by number reach: ``index.max_result_window``, up to which every shard sorts all that it finds."""

MOST_COUNTED: Final = 10_000
"""Hits are counted exactly up to here."""

_MOST_ROWS: Final = 100
_TOP_ERRORS: Final = 20
_MOST_PATTERNS: Final = 2_000
_FUZZY_TERMS: Final = 50
_SORT: Final[list[Body]] = [
    {"@timestamp": {"order": "desc", "unmapped_type": "date", "format": "epoch_millis", "numeric_type": "date"}},
    {"event.id": {"order": "asc", "unmapped_type": "keyword"}},
]


def text_condition(query: str) -> Body:
    """A query in Lucene's syntax, put so that it cannot make the server look at every term."""
    return text_query(query, allow_leading_wildcard=False, fuzzy_max_expansions=_FUZZY_TERMS)


def page_body(
    conditions: Sequence[Body],
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
        "query": every(*conditions, *([text_condition(text)] if text else [])),
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
    return counting(
        every(time_range(start, end)),
        {
            "levels": terms("log.level", _MOST_ROWS, missing=UNKNOWN),
            "services": terms("service.name", _MOST_ROWS, missing=UNKNOWN),
            "patterns": terms("logsluice.patterns", _MOST_PATTERNS),
            "hours": {
                "date_histogram": {"field": "@timestamp", "fixed_interval": "1h", "min_doc_count": 1},
                "aggs": {"errors": {"filter": at_least("error")}},
            },
            "errors": {
                "filter": at_least("error"),
                "aggs": {
                    "types": {
                        **terms("error.type", _TOP_ERRORS, missing=NO_TYPE),
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
        _seconds(timeout),
    )


def _seconds(timeout: float) -> str:
    return f"{max(1, round(timeout * 1000))}ms"
