"""Kibana's objects of an environment: data views, saved searches and the overview dashboard."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Any, Final

from logsluice.event.ecs import LEVELS
from logsluice.provision.kibana import lens
from logsluice.provision.kibana.objects import (
    SavedObject,
    as_json,
    data_view,
    reference,
    saved_object,
    saved_search,
    search_source,
)
from logsluice.settings import Settings

LOGS: Final = "logsluice-logs"
RESULTS: Final = "logsluice-results"
METRICS: Final = "logsluice-metrics"
WINDOWS: Final = "logsluice-windows"
ALERTS: Final = "logsluice-alerts"
DEAD_LETTERS: Final = "logsluice-dead-letters"

SLOW_NANOSECONDS: Final = 250_000_000

_ERRORS: Final = "(log.level:(error OR critical) OR http.response.status_code:>=500)"
_OPEN: Final = "alert.status:open"
_SLOW: Final = f"_exists_:http.request.method AND event.duration:>={SLOW_NANOSECONDS}"
_SERVICE: Final = "service.name"
_ROWS: Final = (
    (6, (12, 12, 12, 12)),
    (12, (32, 16)),
    (12, (16, 16, 16)),
    (12, (24, 24)),
    (12, (16, 16, 16)),
    (16, (48,)),
)
"""Of the overview's grid: the height of each, of 20 pixels or so, and its panels' widths, 48 in all."""
_DURATION: Final = {
    "id": "duration",
    "params": {
        "inputFormat": "nanoseconds",
        "outputFormat": "humanizePrecise",
        "outputPrecision": 1,
        "useShortSuffix": True,
    },
}
_PLAIN_NUMBER: Final = {"id": "number", "params": {"pattern": "0"}}
_EVENT_FORMATS: Final = {
    "event.duration": _DURATION,
    "http.response.status_code": _PLAIN_NUMBER,
    "kafka.offset": _PLAIN_NUMBER,
    "process.pid": _PLAIN_NUMBER,
}
_WINDOW_FORMATS: Final = {
    "window.error_rate": {"id": "percent", "params": {"pattern": "0.[0]%"}},
    **{f"window.duration.p{percent}": _DURATION for percent in (50, 95, 99)},
}
_ALERT_FORMATS: Final = {
    "event.duration": _DURATION,
    "event.url": {"id": "url", "params": {"type": "a", "labelTemplate": "logs"}},
}


def saved_objects(settings: Settings) -> list[SavedObject]:
    """Every object of an environment, those that are needed by others first."""
    searches, charts = _saved_searches(), _charts()
    return [*_data_views(settings), *searches, *charts, _overview(settings, [*charts, searches[0]])]


def _data_views(settings: Settings) -> list[SavedObject]:
    indices: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
        (LOGS, "logs", settings.logs_index, _EVENT_FORMATS),
        (RESULTS, "results", settings.results_index, _EVENT_FORMATS),
        (METRICS, "metrics", settings.metrics_index, _EVENT_FORMATS),
        (WINDOWS, "windows", settings.windows_index, _WINDOW_FORMATS),
        (ALERTS, "alerts", settings.alerts_index, _ALERT_FORMATS),
        (DEAD_LETTERS, "dead letters", settings.dead_letters_index, {"kafka.offset": _PLAIN_NUMBER}),
    )
    return [data_view(name, f"{settings.env}: {title}", alias, formats) for name, title, alias, formats in indices]


def _saved_searches() -> list[SavedObject]:
    return [
        saved_search(
            "logsluice-errors-by-service",
            "Errors by service",
            "Events of level error and critical, and answers of 500 and more; the histogram tells the services apart.",
            view=RESULTS,
            query=_ERRORS,
            columns=["service.name", "log.level", "error.type", "message"],
            breakdown="service.name",
        ),
        saved_search(
            "logsluice-user-journey",
            "A user's way",
            "What happened in a session or a request, in its order: filter by one session.id, trace.id or user.id.",
            view=RESULTS,
            query="_exists_:session.id OR _exists_:trace.id",
            columns=[
                "session.id",
                "trace.id",
                "user.id",
                "service.name",
                "event.action",
                "event.outcome",
                "event.duration",
                "message",
            ],
            sort=("@timestamp", "asc"),
            breakdown="event.action",
        ),
        saved_search(
            "logsluice-slow-requests",
            "Slow requests",
            f"Requests that took {SLOW_NANOSECONDS // 1_000_000} ms or longer, the slowest first.",
            view=RESULTS,
            query=_SLOW,
            columns=[
                "event.duration",
                "service.name",
                "http.request.method",
                "url.path",
                "http.response.status_code",
                "trace.id",
            ],
            sort=("event.duration", "desc"),
            breakdown="service.name",
        ),
        saved_search(
            "logsluice-dead-letters-search",
            "Dead letters",
            "What could not be read or written, and why. `logsluice dlq` knows which have been replayed since.",
            view=DEAD_LETTERS,
            query="*",
            columns=["dead_letter.consumer", "dead_letter.reason", "dead_letter.detail", "event.id", "message"],
            breakdown="dead_letter.reason",
        ),
    ]


def _charts() -> list[SavedObject]:
    return [
        lens.chart("logsluice-events", "Events", "metric", view=RESULTS, columns={"number": lens.count("events")}),
        lens.chart(
            "logsluice-errors",
            "Errors",
            "metric",
            view=RESULTS,
            columns={"number": lens.count("errors", query=_ERRORS)},
        ),
        lens.chart(
            "logsluice-users-with-errors",
            "Users who met an error",
            "metric",
            view=RESULTS,
            columns={"number": lens.distinct("user.id", "users", query=_ERRORS)},
        ),
        lens.chart(
            "logsluice-open-alerts",
            "Open alerts",
            "metric",
            view=ALERTS,
            columns={"number": lens.count("open alerts", query=_OPEN)},
        ),
        lens.chart(
            "logsluice-events-by-level",
            "Events by level",
            "bar_stacked",
            view=RESULTS,
            columns={
                "level": lens.top("log.level", "level", by="events", size=len(LEVELS), others=True),
                "time": lens.over_time(),
                "events": lens.count("events"),
            },
        ),
        lens.chart(
            "logsluice-requests-by-status",
            "Requests by status",
            "donut",
            view=RESULTS,
            columns={
                "status": lens.filters(
                    "status",
                    {f"{first}xx": f"http.response.status_code:[{first}00 TO {first}99]" for first in range(2, 6)},
                ),
                "requests": lens.count("requests"),
            },
            query="_exists_:http.response.status_code",
        ),
        lens.chart(
            "logsluice-errors-by-service-chart",
            "Errors by service",
            "bar_horizontal_stacked",
            view=RESULTS,
            columns={
                "service": lens.top("service.name", "service", by="errors", others=True),
                "level": lens.top("log.level", "level", by="errors", size=len(LEVELS), others=True),
                "errors": lens.count("errors"),
            },
            query=_ERRORS,
        ),
        lens.chart(
            "logsluice-top-error-types",
            "Most frequent errors",
            "table",
            view=RESULTS,
            columns={
                "type": lens.top("error.type", "error", by="events"),
                "events": lens.count("events"),
                "users": lens.distinct("user.id", "users"),
            },
            query="_exists_:error.type",
        ),
        lens.chart(
            "logsluice-matches-by-pattern",
            "Matches by pattern",
            "bar_horizontal",
            view=RESULTS,
            columns={
                "pattern": lens.top("logsluice.patterns", "pattern", by="events", size=15),
                "events": lens.count("events"),
            },
        ),
        lens.chart(
            "logsluice-latency",
            "How long requests take",
            "line",
            view=RESULTS,
            columns={
                "time": lens.over_time(),
                **{
                    f"p{percent}": lens.percentile("event.duration", percent, f"p{percent}") for percent in (50, 95, 99)
                },
            },
            query="_exists_:http.request.method AND _exists_:event.duration",
        ),
        lens.chart(
            "logsluice-error-rate",
            "Error rate of each service's worst minute",
            "line",
            view=WINDOWS,
            columns={
                "service": lens.top("service.name", "service", by="rate"),
                "time": lens.over_time(),
                "rate": lens.maximum("window.error_rate", "error rate"),
            },
        ),
        lens.chart(
            "logsluice-open-alerts-table",
            "Open alerts by rule and service",
            "table",
            view=ALERTS,
            columns={
                "rule": lens.top("rule.name", "rule", by="alerts"),
                "service": lens.top("service.name", "service", by="alerts"),
                "severity": lens.top("alert.severity", "severity", by="alerts", size=2),
                "alerts": lens.count("alerts"),
                "seen": lens.maximum("alert.last_seen", "last seen", data_type="date"),
            },
            query=_OPEN,
        ),
        lens.chart(
            "logsluice-dead-letters-by-reason",
            "Dead letters by reason",
            "bar_stacked",
            view=DEAD_LETTERS,
            columns={
                "reason": lens.top("dead_letter.reason", "reason", by="letters"),
                "time": lens.over_time(),
                "letters": lens.count("letters"),
            },
            filtered=False,
        ),
        lens.chart(
            "logsluice-top-source-ips",
            "Where requests come from",
            "table",
            view=RESULTS,
            columns={
                "source": lens.top("source.ip", "source", by="events", data_type="ip"),
                "events": lens.count("events"),
                "errors": lens.count("errors", query=_ERRORS),
                "users": lens.distinct("user.id", "users"),
            },
        ),
    ]


def _overview(settings: Settings, panels: list[SavedObject]) -> SavedObject:
    """The dashboard of objects that stand by themselves, with a choice of services; it refreshes twice a minute."""
    references = [reference(panel["type"], panel["id"], f"{panel['id']}:panel_{panel['id']}") for panel in panels]
    references.append(reference("index-pattern", RESULTS, f"controlGroup_{_SERVICE}:optionsListDataView"))
    services = {
        "type": "optionsListControl",
        "order": 0,
        "width": "medium",
        "grow": False,
        "explicitInput": {"id": _SERVICE, "fieldName": _SERVICE, "title": "Service"},
    }
    placed = [
        {
            "type": panel["type"],
            "panelIndex": panel["id"],
            "panelRefName": f"panel_{panel['id']}",
            "gridData": {"i": panel["id"], **place},
            "embeddableConfig": {},
        }
        for panel, place in zip(panels, _places(), strict=True)
    ]
    options = {
        "useMargins": True,
        "syncColors": True,
        "syncCursor": True,
        "syncTooltips": False,
        "hidePanelTitles": False,
    }
    attributes = {
        "title": f"logsluice {settings.env}: overview",
        "description": "Events, errors, requests, alerts and dead letters of the last fifteen minutes.",
        "timeRestore": True,
        "timeFrom": "now-15m",
        "timeTo": "now",
        "refreshInterval": {"pause": False, "value": 30_000},
        "optionsJSON": as_json(options),
        "kibanaSavedObjectMeta": {"searchSourceJSON": as_json(search_source(""))},
        "controlGroupInput": {
            "controlStyle": "oneLine",
            "chainingSystem": "HIERARCHICAL",
            "showApplySelections": False,
            "panelsJSON": as_json({_SERVICE: services}),
        },
        "panelsJSON": as_json(placed),
    }
    return saved_object("dashboard", "logsluice-overview", attributes, references)


def _places() -> Iterator[dict[str, int]]:
    """Where the panels of the overview are, from the left, row by row."""
    y = 0
    for height, widths in _ROWS:
        for x, width in zip(accumulate(widths, initial=0), widths, strict=False):
            yield {"x": x, "y": y, "w": width, "h": height}
        y += height
