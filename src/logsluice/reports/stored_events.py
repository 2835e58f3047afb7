"""Events in Elasticsearch as a source: errors one by one, all others counted by the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from functools import partial
from typing import Any, Final

import polars as pl
from elasticsearch import Elasticsearch, NotFoundError

from logsluice.documents.fields import field_value
from logsluice.elasticsearch.client import connect, connected, retry_request
from logsluice.elasticsearch.paging import group_pages, hit_pages
from logsluice.elasticsearch.queries import every, is_error, time_range
from logsluice.errors import LogsluiceError
from logsluice.reports.events import FIELDS_READ, UNKNOWN_SERVICE, Span, by_column, with_all_columns
from logsluice.reports.tasks import StoredRange
from logsluice.settings import Settings

JOB: Final = "report"
_RANGE_EVENTS: Final = 100_000
_MOST_BUCKETS: Final = 1_000
_PAGE: Final = 5_000
_MINUTE_MS: Final = 60_000
_SORT: Final[list[dict[str, Any]]] = [
    {"@timestamp": {"order": "asc"}},
    {"event.id": {"order": "asc", "unmapped_type": "keyword"}},
]
_BY_MINUTE: Final[list[dict[str, Any]]] = [
    {"minute": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1m"}}},
    {"level": {"terms": {"field": "log.level", "missing_bucket": True}}},
    {"service": {"terms": {"field": "service.name", "missing_bucket": True}}},
]
_IS_ERROR: Final = is_error()


def plan_stored(settings: Settings, index: str, span: Span) -> list[StoredRange]:
    """Cut what is in an index into stretches of about as many events each.

    Raises:
        LogsluiceError: There is no such index, or the server does not answer or refuses.
    """
    since, until = (None if micros is None else micros // 1000 for micros in (span.since, span.until))
    query = time_range(since, until)
    ends = {"first": {"min": {"field": "@timestamp"}}, "last": {"max": {"field": "@timestamp"}}}
    where = settings.elasticsearch.hosts
    with connected(settings.elasticsearch) as client:
        try:
            found = client.search(index=index, size=0, query=query, aggs=ends).body["aggregations"]
            if found["first"]["value"] is None:
                return []
            first, last = int(found["first"]["value"]), int(found["last"]["value"])
            minutes = (last - first) // (_MINUTE_MS * _MOST_BUCKETS) + 1
            by_time = {"field": "@timestamp", "fixed_interval": f"{minutes}m", "min_doc_count": 1}
            answer = client.search(index=index, size=0, query=query, aggs={"times": {"date_histogram": by_time}}).body
        except NotFoundError:
            raise LogsluiceError(
                "there is no such index", where=f"{where}, {index}", hint="`logsluice setup` makes logsluice's own"
            ) from None
    ranges: list[StoredRange] = []
    for bucket in answer["aggregations"]["times"]["buckets"]:
        begin, count = int(bucket["key"]), int(bucket["doc_count"])
        end = min(begin + minutes * _MINUTE_MS, 1 << 62 if until is None else until)
        begin = max(begin, -(1 << 62) if since is None else since)
        if ranges and ranges[-1].events + count <= _RANGE_EVENTS:
            ranges[-1] = StoredRange(index, ranges[-1].begin, end, ranges[-1].events + count)
        else:
            ranges.append(StoredRange(index, begin, end, count))
    return ranges


def stored_counts(entry: StoredRange, settings: Settings) -> Iterator[pl.DataFrame]:
    """How many events are no errors, by ``minute`` (microseconds since the epoch), ``level`` and ``service``.

    Raises:
        LogsluiceError: The server refuses.
    """
    query = {"bool": {"filter": [entry.query], "must_not": [_IS_ERROR]}}
    with closing(connect(settings.elasticsearch)) as client:
        search = partial(_search, client, settings, index=entry.index, query=query)
        for buckets in group_pages(search, _BY_MINUTE, size=_PAGE, aggs={}):
            keys = [bucket["key"] for bucket in buckets]
            yield pl.DataFrame(
                {
                    "minute": pl.Series([key["minute"] * 1000 for key in keys], dtype=pl.Int64),
                    "level": pl.Series([key["level"] for key in keys], dtype=pl.String),
                    "service": pl.Series([key["service"] or UNKNOWN_SERVICE for key in keys], dtype=pl.String),
                    "events": pl.Series([bucket["doc_count"] for bucket in buckets], dtype=pl.Int64),
                }
            )


def stored_errors(entry: StoredRange, settings: Settings) -> Iterator[pl.DataFrame]:
    """The errors of a range, a page at a time, with the columns of an event.

    Raises:
        LogsluiceError: The server refuses.
    """
    query = every(entry.query, _IS_ERROR)
    names = ["@timestamp", "log.level", "message", *FIELDS_READ]
    with closing(connect(settings.elasticsearch)) as client:
        search = partial(_search, client, settings, index=entry.index, query=query, source_includes=names)
        for hits in hit_pages(search, size=_PAGE, sort=_SORT):
            yield _events([hit["_source"] for hit in hits])


def _events(sources: list[dict[str, Any]]) -> pl.DataFrame:
    fields = {
        field: _numbers(sources, field) if name == "status" else _texts(sources, field)
        for field, name in FIELDS_READ.items()
    }
    columns = {
        "instant": pl.Series([_micros(source["@timestamp"]) for source in sources], dtype=pl.Int64),
        "level": _texts(sources, "log.level"),
        "message": _texts(sources, "message"),
        **by_column(fields),
    }
    return with_all_columns(pl.DataFrame(columns))


def _numbers(sources: list[dict[str, Any]], field: str) -> pl.Series:
    values = [field_value(source, field) for source in sources]
    return pl.Series([value if isinstance(value, int) else None for value in values], dtype=pl.Int64)


def _texts(sources: list[dict[str, Any]], field: str) -> pl.Series:
    values = [field_value(source, field) for source in sources]
    empty = (dict, list, type(None))
    return pl.Series([None if isinstance(value, empty) else str(value) for value in values], dtype=pl.String)


def _micros(instant: Any) -> int:
    if isinstance(instant, int):
        return instant * 1000
    moment = datetime.fromisoformat(instant)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def _search(client: Elasticsearch, settings: Settings, **request: Any) -> Any:
    return retry_request(lambda: client.search(**request).body, settings.elasticsearch, job=JOB)
