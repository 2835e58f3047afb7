"""Elasticsearch queries of the page: pure functions.

Everything is counted by Elasticsearch, in one multi-search. Only what its core knows is used: the local node has no
scripts, no ``auto_date_histogram`` and no ``top_metrics``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from logsluice.dashboard.filters import Filters, Span
from logsluice.elasticsearch.search import text_query
from logsluice.event.ecs import LEVELS
from logsluice.settings import Settings

Body: TypeAlias = dict[str, Any]
SelectionKind: TypeAlias = Literal["time", "type", "ip", "service"]

ERROR_LEVELS: Final = ("error", "critical")
NO_TYPE: Final = "no type"
UNKNOWN: Final = "unknown"
LINES_SHOWN: Final = 100
LINES_DOWNLOADED: Final = 10_000
MOST_ROWS: Final = 200
LIVE_MINUTES: Final = 30
TIMEOUT_SECONDS: Final = 8

_MOST_SERVICES: Final = 500
# Each day is a shard: with so many of its own each, the sums over all are those of all.
_SHARD_ROWS: Final = 2_000
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
    return _counting(_query(filters, span), {"over_time": _over_time(span)})


def before_body(filters: Filters, span: Span) -> Body:
    """Events and errors of another stretch."""
    return _counting(_query(filters, span), {"errors": {"filter": _ERRORS}})


def errors_body(filters: Filters, span: Span) -> Body:
    """Errors over time by level, by type, address and service."""
    return _counting(
        _query(filters, span, _ERRORS),
        {
            "over_time": _over_time(span) | {"aggs": {"levels": {"terms": {"field": "log.level", "size": 2}}}},
            "types": _terms("error.type", MOST_ROWS, missing=NO_TYPE),
            "ips": _terms("source.ip", MOST_ROWS),
            "services": _terms("service.name", _MOST_SERVICES, missing=UNKNOWN),
        },
    )


def services_body(filters: Filters, span: Span) -> Body:
    """Events by service, of all services."""
    everyone = Filters(level=filters.level, query=filters.query)
    services = _terms("service.name", _MOST_SERVICES, missing=UNKNOWN)
    return _counting(_query(everyone, span), {"services": services}) | {"track_total_hits": False}


def lines_body(filters: Filters, span: Span, selection: Selection | None, size: int = LINES_SHOWN) -> Body:
    """The newest log lines; of a bar that was clicked only the errors behind it."""
    return {
        "query": _query(filters, span, *_selection_conditions(selection, span)),
        "sort": [{"@timestamp": {"order": "desc", "unmapped_type": "date"}}],
        "size": size,
        "track_total_hits": True,
        "timeout": _TIMEOUT,
        "_source": {"excludes": ["event.original"]},
    }


def windows_body(filters: Filters, span: Span) -> Body:
    """By service the newest window and the error rates of the half hour before the span's end."""
    start = max(span.start, span.end - timedelta(minutes=LIVE_MINUTES))
    conditions = [_range("window.start", Span(start, span.end))]
    if filters.service:
        conditions.append({"term": {"service.name": filters.service}})
    return {
        "query": {"bool": {"filter": conditions}},
        "size": 0,
        "track_total_hits": False,
        "timeout": _TIMEOUT,
        "aggs": {
            "services": {
                "terms": {"field": "service.name", "size": MOST_ROWS},
                "aggs": {
                    "newest": {
                        "top_hits": {
                            "size": 1,
                            "sort": [{"window.start": {"order": "desc"}}],
                            "_source": {"includes": ["window", "service"]},
                        }
                    },
                    "trend": {
                        "date_histogram": {"field": "window.start", "fixed_interval": "1m", "min_doc_count": 1},
                        "aggs": {
                            "events": {"sum": {"field": "window.events"}},
                            "errors": {"sum": {"field": "window.errors"}},
                        },
                    },
                },
            }
        },
    }


def alerts_body(filters: Filters, span: Span) -> Body:
    """The open alerts, whenever they opened, and those that ended in the span; of a service also those of all."""
    is_open = {"term": {"alert.status": "open"}}
    ended = {"bool": {"filter": [{"term": {"alert.status": "resolved"}}, _range("event.end", span)]}}
    conditions: list[Body] = [{"bool": {"should": [is_open, ended], "minimum_should_match": 1}}]
    if filters.service:
        of_all = {"bool": {"must_not": {"exists": {"field": "service.name"}}}}
        named = {"terms": {"service.name": [filters.service, "*"]}}
        conditions.append({"bool": {"should": [named, of_all], "minimum_should_match": 1}})
    return {
        "query": {"bool": {"filter": conditions}},
        # In the alphabet, open comes before resolved and critical before warning.
        "sort": [
            {"alert.status": {"order": "asc", "unmapped_type": "keyword"}},
            {"alert.severity": {"order": "asc", "unmapped_type": "keyword"}},
            {"@timestamp": {"order": "desc", "unmapped_type": "date"}},
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


_ERRORS: Final[Body] = {"terms": {"log.level": list(ERROR_LEVELS)}}


def _query(filters: Filters, span: Span, *more: Body) -> Body:
    conditions: list[Body] = [_range("@timestamp", span), *more]
    if filters.level:
        conditions.append({"terms": {"log.level": list(LEVELS[LEVELS.index(filters.level) :])}})
    if filters.service:
        conditions.append(_named("service.name", filters.service, UNKNOWN))
    if filters.query:
        conditions.append(text_query(filters.query))
    return {"bool": {"filter": conditions}}


def _selection_conditions(selection: Selection | None, span: Span) -> list[Body]:
    if selection is None:
        return []
    conditions: dict[SelectionKind, Callable[[str], Body]] = {
        "time": lambda value: _range("@timestamp", bar_span(int(value), span)),
        "type": lambda value: _named("error.type", value, NO_TYPE),
        "ip": lambda value: {"term": {"source.ip": value}},
        "service": lambda value: _named("service.name", value, UNKNOWN),
    }
    errors: Body = {"term": {"log.level": selection.level}} if selection.level else _ERRORS
    return [errors, conditions[selection.kind](selection.value)]


def bar_span(start_ms: int, span: Span) -> Span:
    """The part of a bar that lies within the span."""
    start = from_millis(start_ms)
    return Span(max(start, span.start), min(start + timedelta(seconds=span.bar_seconds), span.end))


def _named(name: str, value: str, absent: str) -> Body:
    """A condition for a value of a table, where documents without the field are counted under a name of their own."""
    if value != absent:
        return {"term": {name: value}}
    without = {"bool": {"must_not": {"exists": {"field": name}}}}
    return {"bool": {"should": [{"term": {name: absent}}, without], "minimum_should_match": 1}}


def _range(name: str, span: Span) -> Body:
    return {"range": {name: {"gte": _millis(span.start), "lt": _millis(span.end), "format": "epoch_millis"}}}


def _over_time(span: Span) -> Body:
    return {
        "date_histogram": {
            "field": "@timestamp",
            "fixed_interval": f"{span.bar_seconds}s",
            "min_doc_count": 0,
            "extended_bounds": {"min": _millis(span.start), "max": _millis(span.end) - 1},
            "format": "epoch_millis",
        }
    }


def _terms(name: str, size: int, missing: str | None = None) -> Body:
    body: Body = {"field": name, "size": size, "shard_size": max(_SHARD_ROWS, size)}
    return {"terms": body | ({"missing": missing} if missing else {})}


def _counting(query: Body, aggregations: Body) -> Body:
    return {"query": query, "size": 0, "track_total_hits": True, "timeout": _TIMEOUT, "aggs": aggregations}


def _millis(moment: datetime) -> int:
    return int((moment - _EPOCH) / timedelta(milliseconds=1))


def from_millis(value: float) -> datetime:
    """A moment of so many milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=value)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
