"""Elasticsearch queries of the alerts job: windows, hours, error classes and alerts, without scripts.

They raise ``elastic_transport.TransportError`` and ``elasticsearch.ApiError``: the server does not answer, or refuses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Final

from elasticsearch import Elasticsearch

from logsluice.alerts.baseline import HourSummary, MedianAndMad
from logsluice.alerts.documents import Alert, alert_from
from logsluice.alerts.error_classes import ErrorClassCount, ErrorClasses
from logsluice.alerts.rules import Metric
from logsluice.alerts.windows import WINDOW_SECONDS, Window
from logsluice.elasticsearch.paging import group_pages, hit_pages
from logsluice.elasticsearch.queries import IF_THERE, UNKNOWN, any_of, every, time_range

_PAGE: Final = 5_000
_GROUPS: Final = 1_000
_MOST_BUCKETS: Final = 50_000
"""Of an answer; the server refuses those with more than 65,536."""
_MINUTE_MS: Final = WINDOW_SECONDS * 1_000
_HOUR_MINUTES: Final = 60
_DAY_MINUTES: Final = 1_440
_COUNTS: Final = ("events", "errors", "critical", "payments", "refunds")
_P50: Final = "window.duration.p50"
_P95: Final = "window.duration.p95"


def read_windows(client: Elasticsearch, alias: str, first: int, until: int) -> Iterator[Window]:
    """The windows from a minute up to and with another, in the order of time."""
    for page in hit_pages(
        client.search,
        index=alias,
        size=_PAGE,
        query=_between(first, until + 1),
        sort=_order("@timestamp", "service.name"),
        source=False,
        docvalue_fields=[
            {"field": "@timestamp", "format": "epoch_millis"},
            "service.name",
            *(f"window.{name}" for name in _COUNTS),
            _P50,
            _P95,
        ],
        **IF_THERE,
    ):
        for hit in page:
            yield _window(hit["fields"])


def read_hours(
    client: Elasticsearch, alias: str, first: int, until: int, metrics: Iterable[Metric]
) -> Iterator[HourSummary]:
    """Hours, from one up to and with another (hours since the epoch), a day at a time."""
    names = tuple(metrics)
    numbers: dict[str, Any] = {name: {"sum": {"field": f"window.{name}"}} for name in ("payments", "refunds")}
    for metric in names:
        field = f"window.duration.{metric}" if metric in ("p50", "p95") else f"window.{metric}"
        numbers[f"{metric}_median"] = {"percentiles": {"field": field, "percents": [50], "keyed": False}}
        numbers[f"{metric}_mad"] = {"median_absolute_deviation": {"field": field}}
    whole = _between(first * _HOUR_MINUTES, (until + 1) * _HOUR_MINUTES)
    oldest = {"oldest": {"min": {"field": "@timestamp"}}}
    answer = client.search(index=alias, size=0, query=whole, aggs=oldest, **IF_THERE)
    beginning = (answer.get("aggregations") or {}).get("oldest", {}).get("value")
    if beginning is None:
        return
    for begin in range(int(beginning) // (_HOUR_MINUTES * _MINUTE_MS), until + 1, _DAY_MINUTES // _HOUR_MINUTES):
        end = min(begin + _DAY_MINUTES // _HOUR_MINUTES, until + 1)
        answer = client.search(
            index=alias,
            size=0,
            query=_between(begin * _HOUR_MINUTES, end * _HOUR_MINUTES),
            aggs={
                "services": {
                    "terms": {"field": "service.name", "size": _GROUPS},
                    "aggs": {
                        "hours": {
                            "date_histogram": {"field": "@timestamp", "fixed_interval": "1h", "min_doc_count": 1},
                            "aggs": numbers,
                        }
                    },
                }
            },
            **IF_THERE,
        )
        for service in (answer.get("aggregations") or {}).get("services", {"buckets": []})["buckets"]:
            for hour in service["hours"]["buckets"]:
                yield _hour(service["key"], hour, names)


def read_classes(client: Elasticsearch, alias: str, first: int, until: int, reported_from: int) -> ErrorClasses:
    """Classes of errors: when each was reported first, from a minute on, and its events from another on."""
    kinds: dict[tuple[str, str], int] = {}
    earliest = {"first": {"min": {"field": "@timestamp"}}}
    for bucket in _error_classes(client, alias, first, until, earliest, _GROUPS):
        key = bucket["key"]
        kinds[key["service.name"] or UNKNOWN, key["error.type"]] = int(bucket["first"]["value"]) // _MINUTE_MS
    return ErrorClasses(kinds, read_error_class_counts(client, alias, reported_from, until))


def read_error_class_counts(client: Elasticsearch, alias: str, first: int, until: int) -> Iterator[ErrorClassCount]:
    """Events by class of error and minute, from a minute up to and with another."""
    minutes = {"minutes": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1m", "min_doc_count": 1}}}
    size = max(1, min(_GROUPS, _MOST_BUCKETS // (until - first + 1)))
    for bucket in _error_classes(client, alias, first, until, minutes, size):
        for minute in bucket["minutes"]["buckets"]:
            yield ErrorClassCount(
                bucket["key"]["service.name"] or UNKNOWN,
                bucket["key"]["error.type"],
                int(minute["key"]) // _MINUTE_MS,
                minute["doc_count"],
            )


def read_alerts(client: Elasticsearch, alias: str, resolved_since: datetime) -> list[Alert]:
    """The alerts that are open, that some output is still to be notified of, or whose cause ended since a moment."""
    client.indices.refresh(index=alias, **IF_THERE)
    query = any_of(
        {"term": {"alert.status": "open"}},
        {"exists": {"field": "alert.pending"}},
        {"range": {"event.end": {"gte": resolved_since.isoformat()}}},
    )
    order = _order("@timestamp", "alert.id")
    pages = hit_pages(client.search, index=alias, size=_PAGE, query=query, sort=order, **IF_THERE)
    return [alert_from(hit["_source"]) for page in pages for hit in page]


def _error_classes(
    client: Elasticsearch, alias: str, first: int, until: int, aggs: Mapping[str, Any], size: int
) -> Iterator[dict[str, Any]]:
    """A bucket for each service and class of error; the service is ``None`` where events name none."""
    fields = ("service.name", "error.type")
    pages = group_pages(
        client.search,
        [{field: {"terms": {"field": field, "missing_bucket": True}}} for field in fields],
        index=alias,
        size=size,
        aggs=aggs,
        query=every(_between(first, until + 1), {"exists": {"field": "error.type"}}),
        **IF_THERE,
    )
    return chain.from_iterable(pages)


def _order(*fields: str) -> list[dict[str, Any]]:
    return [{field: {"order": "asc", "unmapped_type": "keyword"}} for field in fields]


def _between(first: int, end: int) -> dict[str, Any]:
    return time_range(first * _MINUTE_MS, end * _MINUTE_MS)


def _window(fields: Mapping[str, list[Any]]) -> Window:
    counts = {name: int(fields.get(f"window.{name}", [0])[0]) for name in _COUNTS}
    return Window(
        int(fields["@timestamp"][0]) // _MINUTE_MS,
        fields.get("service.name", [UNKNOWN])[0],
        p50=float(fields[_P50][0]) if _P50 in fields else None,
        p95=float(fields[_P95][0]) if _P95 in fields else None,
        **counts,
    )


def _hour(service: str, bucket: Mapping[str, Any], metrics: Sequence[Metric]) -> HourSummary:
    summaries: dict[Metric, MedianAndMad] = {}
    for metric in metrics:
        center = bucket[f"{metric}_median"]["values"][0]["value"]
        mad = bucket[f"{metric}_mad"]["value"]
        if center is not None and mad is not None:
            summaries[metric] = MedianAndMad(center, mad)
    return HourSummary(
        service,
        int(bucket["key"]) // (_HOUR_MINUTES * _MINUTE_MS),
        bucket["doc_count"],
        summaries,
        int(bucket["payments"]["value"]),
        int(bucket["refunds"]["value"]),
    )
