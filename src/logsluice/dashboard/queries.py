"""Elasticsearch queries of the page: pure functions.

Everything is counted by Elasticsearch, in one multi-search. Only what its core knows is used: the local node has no
scripts, no ``auto_date_histogram`` and no ``top_metrics``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final, Literal, NamedTuple, TypeAlias

from logsluice.dashboard.filters import Filters, Span
from logsluice.elasticsearch.queries import (
    NEWEST_FIRST,
    NO_TYPE,
    UNKNOWN,
    Body,
    any_of,
    at_least,
    counted_as,
    counting,
    every,
    is_error,
    terms,
    text_query,
    time_range,
    without,
)
from logsluice.event.moments import from_millis, to_millis
from logsluice.settings import Settings

SelectionKind: TypeAlias = Literal["time", "type", "ip", "service"]

ERROR_LEVELS: Final = ("error", "critical")
LINES_SHOWN: Final = 100
LINES_DOWNLOADED: Final = 10_000
MOST_ROWS: Final = 200
LIVE_MINUTES: Final = 30
TIMEOUT_SECONDS: Final = 8

_MOST_SERVICES: Final = 500
_MOST_ALERTS: Final = 200
_TIMEOUT: Final = f"{TIMEOUT_SECONDS}s"


class Selection(NamedTuple):
    """A bar that was clicked: the errors behind it.

    Attributes:
        kind: Which chart.
        value: The error type, address or service; the bar's start in epoch milliseconds.
        level: The level of that part of the bar, where the chart tells levels apart.
    """

    kind: SelectionKind
    value: str
    level: str | None = None


def requests(
    settings: Settings, filters: Filters, span: Span, selection: Selection | None
) -> dict[str, tuple[str, Body]]:
    """The searches of a redraw: the alias and the body of each, by a name that the answer is known by."""
    results = settings.results_index
    return {
        "events": (results, events_body(filters, span)),
        "before": (results, before_body(filters, span.before)),
        "errors": (results, errors_body(filters, span)),
        "services": (results, services_body(filters, span)),
        "lines": (results, lines_body(filters, span, selection)),
        "newest": (results, {"size": 0, "aggs": {"newest": {"max": {"field": "@timestamp"}}}}),
        "windows": (settings.windows_index, windows_body(filters, span)),
        "alerts": (settings.alerts_index, alerts_body(filters, span)),
    }


def events_body(filters: Filters, span: Span) -> Body:
    """All events over time."""
    return _count(_query(filters, span), {"over_time": _over_time(span)})


def before_body(filters: Filters, span: Span) -> Body:
    """Events and errors of another stretch."""
    return _count(_query(filters, span), {"errors": {"filter": _ERRORS}})


def errors_body(filters: Filters, span: Span) -> Body:
    """Errors over time by level, by type, address and service."""
    return _count(
        _query(filters, span, _ERRORS),
        {
            "over_time": _over_time(span) | {"aggs": {"critical": {"filter": at_least("critical")}}},
            "types": terms("error.type", MOST_ROWS, missing=NO_TYPE),
            "ips": terms("source.ip", MOST_ROWS),
            "services": terms("service.name", _MOST_SERVICES, missing=UNKNOWN),
        },
    )


def services_body(filters: Filters, span: Span) -> Body:
    """Events by service, of all services."""
    everyone = Filters(level=filters.level, query=filters.query)
    services = terms("service.name", _MOST_SERVICES, missing=UNKNOWN)
    return _count(_query(everyone, span), {"services": services}) | {"track_total_hits": False}


def lines_body(filters: Filters, span: Span, selection: Selection | None, size: int = LINES_SHOWN) -> Body:
    """The newest log lines; of a bar that was clicked only the errors behind it."""
    return {
        "query": _query(filters, span, *_selection_conditions(selection, span)),
        "sort": [NEWEST_FIRST],
        "size": size,
        "track_total_hits": True,
        "timeout": _TIMEOUT,
        "_source": {"excludes": ["event.original"]},
    }


def windows_body(filters: Filters, span: Span) -> Body:
    """By service the newest window and the error rates of the half hour before the span's end."""
    start = max(span.start, span.end - timedelta(minutes=LIVE_MINUTES))
    conditions = [time_range(start, span.end, "window.start")]
    if filters.service:
        conditions.append({"term": {"service.name": filters.service}})
    newest = {"size": 1, "sort": [{"window.start": {"order": "desc"}}], "_source": {"includes": ["window", "service"]}}
    services = {
        "terms": {"field": "service.name", "size": MOST_ROWS},
        "aggs": {
            "newest": {"top_hits": newest},
            "trend": {
                "date_histogram": {"field": "window.start", "fixed_interval": "1m", "min_doc_count": 1},
                "aggs": {name: {"sum": {"field": f"window.{name}"}} for name in ("events", "errors")},
            },
        },
    }
    return _count(every(*conditions), {"services": services}) | {"track_total_hits": False}


def alerts_body(filters: Filters, span: Span) -> Body:
    """The open alerts, whenever they opened, and those that ended in the span; of a service also those of all."""
    is_open = {"term": {"alert.status": "open"}}
    ended = every({"term": {"alert.status": "resolved"}}, time_range(*span, "event.end"))
    conditions = [any_of(is_open, ended)]
    if filters.service:
        conditions.append(any_of({"terms": {"service.name": [filters.service, "*"]}}, without("service.name")))
    return {
        "query": every(*conditions),
        # In the alphabet, open comes before resolved and critical before warning.
        "sort": [
            {"alert.status": {"order": "asc", "unmapped_type": "keyword"}},
            {"alert.severity": {"order": "asc", "unmapped_type": "keyword"}},
            NEWEST_FIRST,
        ],
        "size": _MOST_ALERTS,
        "track_total_hits": False,
        "timeout": _TIMEOUT,
        "aggs": {"open": {"filter": is_open}},
    }


def lucene(field_name: str, value: str) -> str:
    """A condition in Lucene's syntax that a field has exactly that value."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{field_name}:"{escaped}"'


_ERRORS: Final = is_error()


def _query(filters: Filters, span: Span, *extra: Body) -> Body:
    conditions = [time_range(*span), *extra]
    if filters.level:
        conditions.append(at_least(filters.level))
    if filters.service:
        conditions.append(counted_as("service.name", filters.service, UNKNOWN))
    if filters.query:
        conditions.append(text_query(filters.query))
    return every(*conditions)


def _selection_conditions(selection: Selection | None, span: Span) -> list[Body]:
    if selection is None:
        return []
    conditions: dict[SelectionKind, Callable[[str], Body]] = {
        "time": lambda value: time_range(*bar_span(int(value), span)),
        "type": lambda value: counted_as("error.type", value, NO_TYPE),
        "ip": lambda value: {"term": {"source.ip": value}},
        "service": lambda value: counted_as("service.name", value, UNKNOWN),
    }
    critical = at_least("critical")
    by_level: dict[str | None, Body] = {
        "critical": critical,
        "error": {"bool": {"filter": [_ERRORS], "must_not": [critical]}},
    }
    errors = by_level.get(selection.level, _ERRORS)
    return [errors, conditions[selection.kind](selection.value)]


def bar_span(start_ms: int, span: Span) -> Span:
    """The part of a bar that lies within the span."""
    start = from_millis(start_ms)
    return Span(max(start, span.start), min(start + timedelta(seconds=span.bar_seconds), span.end))


def _over_time(span: Span) -> Body:
    return {
        "date_histogram": {
            "field": "@timestamp",
            "fixed_interval": f"{span.bar_seconds}s",
            "min_doc_count": 0,
            "extended_bounds": {"min": to_millis(span.start), "max": to_millis(span.end) - 1},
            "format": "epoch_millis",
        }
    }


def _count(query: Body, aggregations: Body) -> Body:
    return counting(query, aggregations, _TIMEOUT)
