"""The overview: whether events come through, what they say, and what was refused."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard
from grafana_foundation_sdk.models.units import (
    BytesIEC,
    PercentUnit,
    RequestsPerSecond,
    Seconds,
)

from grafana.api import api
from grafana.panels import (
    EVENTS,
    Panel,
    Query,
    by_labels,
    dashboard,
    discover,
    discover_view,
    heat_map,
    kibana_dashboard,
    lines,
    link,
    number,
    rate,
    rows,
    select,
    states,
)

_SERVICE: Final = 'service=~"$service"'
_SERVER_ERROR: Final = 'status=~"5.."'
_OF_TOPIC: Final = 'job="app-service"'
_TO_RESULTS: Final = 'destination="results"'
_FIRING: Final = 'alertstate="firing"'
_ERROR: Final = 'level=~"error|critical"'
_OF_SERVICE: Final = 'service.name:"${__field.labels.service}"'
_LAG: Final = f"max by (group, topic, partition) ({select('logsluice_consumer_lag_events')})"
_LATENCY: Final = rate("logsluice_end_to_end_latency_seconds_bucket")
_LEVELS: Final = rate("logsluice_events_by_level_total", _SERVICE)
_ERRORS: Final = rate("logsluice_events_by_level_total", _SERVICE, _ERROR)
_REQUESTS: Final = rate("http_requests_total", _SERVICE)

ERRORS = link("Errors in Kibana", discover("logsluice-errors-by-service"))
SLOW = link("Slow requests in Kibana", discover("logsluice-slow-requests"))
DEAD_LETTERS = link("Dead letters in Kibana", discover("logsluice-dead-letters-search"))
ERRORS_OF_SERVICE = link(
    "Errors of ${__field.labels.service} in Kibana", discover("logsluice-errors-by-service", _OF_SERVICE)
)
LOGS_OF_SERVICE = link("Events of ${__field.labels.service} in Kibana", discover_view("logsluice-results", _OF_SERVICE))


def overview() -> Dashboard:
    """The dashboard that is looked at first."""
    return dashboard(
        "overview",
        "overview",
        "From Kafka to the index: how much comes through, how fast, what it says, and what was refused.",
        [
            ("Now", _now()),
            ("Flow", _flow()),
            ("What the events say", _content()),
            ("What went wrong", _faults()),
            ("Windows and alerts", _windows_and_alerts()),
            ("HTTP API", api()),
        ],
        environments="logsluice_part_up",
        variables=[by_labels("Service", "service", "service", "logsluice_events_by_level_total")],
    )


def _now() -> list[Panel]:
    return [
        number("Events in", f"sum({rate('logsluice_events_in_total', _OF_TOPIC)})", unit=EVENTS),
        number("Facts out", f"sum({rate('logsluice_events_out_total', _TO_RESULTS)})", unit=EVENTS),
        number("Errors", f"sum({_ERRORS}) / sum({_LEVELS})", unit=PercentUnit, bad_above=0.1, links=[ERRORS]),
        number("Lag", f"sum({_LAG})", bad_above=100_000),
        number(
            "Stalest index",
            f"max(min by (index) ({select('logsluice_index_freshness_seconds')}))",
            unit=Seconds,
            description="Age of the newest event. It grows as well where nothing new arrives.",
            bad_above=300,
        ),
        number(
            "Dead letters, 1 h",
            f"sum(increase({select('logsluice_dead_letters_total')}[1h]))",
            none="0",
            bad_above=1,
            links=[DEAD_LETTERS],
        ),
        number("Open alerts", f"sum({select('logsluice_alerts_open')})", none="0", bad_above=1),
        number(
            "Parts up",
            f"sum(min by (part) ({select('logsluice_part_up')}))",
            bad_below=2,
            description="Kafka and Elasticsearch, as app-service finds them.",
        ),
    ]


def _flow() -> list[Panel]:
    return [
        lines(
            "Events read",
            Query(f"sum by (job) ({rate('logsluice_events_in_total')})", "{{job}}"),
            unit=EVENTS,
            width=12,
        ),
        lines(
            "Events written",
            Query(f"sum by (job, destination) ({rate('logsluice_events_out_total')})", "{{job}} to {{destination}}"),
            unit=EVENTS,
            width=12,
        ),
        heat_map(
            "From Kafka to the index",
            "sum by (le) (increase(" + select("logsluice_end_to_end_latency_seconds_bucket") + "[$__rate_interval]))",
            description="Seconds from Kafka's append to the acknowledged write, of events taken evenly.",
            links=[SLOW],
        ),
        lines(
            "From Kafka to the index, by job",
            Query(f"histogram_quantile(0.5, sum by (job, le) ({_LATENCY}))", "{{job}}, median"),
            Query(f"histogram_quantile(0.95, sum by (job, le) ({_LATENCY}))", "{{job}}, 95 %"),
            unit=Seconds,
            width=12,
        ),
        lines("Lag", Query(f"sum by (group) ({_LAG})", "{{group}}"), description="Events not read yet."),
        lines(
            "Age of the newest event",
            Query(f"min by (index) ({select('logsluice_index_freshness_seconds')})", "{{index}}"),
            unit=Seconds,
        ),
        lines(
            "Duration of a batch, 95 %",
            Query(
                f"histogram_quantile(0.95, sum by (job, le) ({rate('logsluice_batch_duration_seconds_bucket')}))",
                "{{job}}",
            ),
            unit=Seconds,
        ),
    ]


def _content() -> list[Panel]:
    return [
        lines(
            "Error rate by service",
            Query(f"sum by (service) ({_ERRORS}) / sum by (service) ({_LEVELS})", "{{service}}"),
            unit=PercentUnit,
            width=12,
            most=1,
            description="Share of a service's events at level error or critical.",
            links=[ERRORS],
            series_links=[ERRORS_OF_SERVICE],
        ),
        lines(
            "Events by level",
            Query(f"sum by (level) ({_LEVELS})", "{{level}}"),
            unit=EVENTS,
            width=12,
            stacked=True,
            description="unknown: the event says none.",
            series_links=[
                link(
                    "Events of this level in Kibana",
                    discover_view("logsluice-results", 'log.level:"${__field.labels.level}"'),
                )
            ],
        ),
        lines(
            "Requests by service",
            Query(f"sum by (service) ({_REQUESTS})", "{{service}}"),
            unit=RequestsPerSecond,
            width=12,
            links=[SLOW],
            series_links=[LOGS_OF_SERVICE],
        ),
        lines(
            "Requests answered with 5xx",
            Query(
                f"sum by (service) ({rate('http_requests_total', _SERVICE, _SERVER_ERROR)})"
                f" / sum by (service) ({_REQUESTS})",
                "{{service}}",
            ),
            unit=PercentUnit,
            width=12,
            most=1,
            links=[ERRORS],
            series_links=[ERRORS_OF_SERVICE],
        ),
        lines(
            "Matches by pattern",
            Query(f"sum by (pattern) ({rate('logsluice_pattern_matches_total')})", "{{pattern}}"),
            unit=EVENTS,
            width=12,
            series_links=[
                link(
                    "Events with ${__field.labels.pattern} in Kibana",
                    discover_view("logsluice-results", 'logsluice.patterns:"${__field.labels.pattern}"'),
                )
            ],
        ),
        lines(
            "Events by format",
            Query(f"sum by (dataset) ({rate('logsluice_format_events_total')})", "{{dataset}}"),
            unit=EVENTS,
            width=12,
            stacked=True,
            series_links=[
                link(
                    "Events of this format in Kibana",
                    discover_view("logsluice-results", 'event.dataset:"${__field.labels.dataset}"'),
                )
            ],
        ),
    ]


def _faults() -> list[Panel]:
    return [
        lines(
            "Dead letters",
            Query(f"sum by (job, reason) ({rate('logsluice_dead_letters_total')})", "{{job}}: {{reason}}"),
            unit=EVENTS,
            description="Events that could not be read or stored. `logsluice dlq` shows and replays them.",
            links=[DEAD_LETTERS],
            series_links=[
                link(
                    "Those with this reason in Kibana",
                    discover("logsluice-dead-letters-search", 'dead_letter.reason:"${__field.labels.reason}"'),
                )
            ],
        ),
        lines(
            "Remarks on the input",
            Query(f"sum by (job, tag) ({rate('logsluice_tagged_events_total')})", "{{job}}: {{tag}}"),
            unit=EVENTS,
            series_links=[
                link(
                    "Events with this remark in Kibana",
                    discover_view("logsluice-results", 'tags:"${__field.labels.tag}"'),
                )
            ],
        ),
        lines(
            "Writes that were there already",
            Query(
                f"sum by (job, destination) ({rate('logsluice_events_repeated_total')})",
                "{{job}} to {{destination}}",
            ),
            unit=EVENTS,
            description="After a restart or a replay: the same event written twice stays one document.",
        ),
        states(
            "Parts",
            Query(f"min by (part) ({select('logsluice_part_up')})", "{{part}}"),
            description="As app-service finds them.",
        ),
        lines(
            "Attempts repeated",
            Query(f"sum by (job, part) ({rate('logsluice_retries_total')})", "{{job}} waits for {{part}}"),
            unit="ops",
        ),
        rows(
            "Alerts of Prometheus that fire",
            f"max by (alertname, severity, environment) ({select('ALERTS', _FIRING)})",
            width=8,
        ),
    ]


def _windows_and_alerts() -> list[Panel]:
    return [
        lines(
            "Windows written",
            Query(f"sum by (environment) ({rate('logsluice_windows_written_total')})", "windows"),
            unit="wps",
            links=[
                link("Windows in Kibana", discover_view("logsluice-windows", "")),
                link("Overview in Kibana", kibana_dashboard("logsluice-overview")),
            ],
        ),
        lines(
            "Late events",
            Query(f"sum by (job) ({rate('logsluice_late_events_total')})", "{{job}}"),
            unit=EVENTS,
            description="They came after their window was closed; the window counts them apart.",
        ),
        lines(
            "State",
            Query(f"max by (job) ({select('logsluice_state_bytes')})", "{{job}}"),
            unit=BytesIEC,
            description="What a streaming job remembers between batches.",
        ),
        lines("Rows of state", Query(f"max by (job) ({select('logsluice_state_rows')})", "{{job}}")),
        rows(
            "Open alerts on what the events say",
            f"max by (rule, service, severity, environment) ({select('logsluice_alerts_open', _SERVICE)}) > 0",
            width=8,
            description="Raised by the alerts job. Prometheus passes them on as ContentAlert.",
            links=[link("Alerts in Kibana", discover_view("logsluice-alerts", ""))],
            series_links=[link("Alerts in Kibana", discover_view("logsluice-alerts", 'alert.status:"open"'))],
        ),
        lines(
            "Alerts opened and resolved",
            Query(
                f"sum by (rule, transition) (increase({select('logsluice_alerts_total')}[$__rate_interval]))",
                "{{rule}}, {{transition}}",
            ),
            links=[link("Alerts in Kibana", discover_view("logsluice-alerts", ""))],
        ),
        lines(
            "Alerts delivered",
            Query(
                f"sum by (output, outcome) (increase({select('logsluice_alert_deliveries_total')}[$__rate_interval]))",
                "{{output}}, {{outcome}}",
            ),
            width=24,
        ),
    ]
