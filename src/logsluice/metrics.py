"""Every Prometheus metric that logsluice exports, in one place, so that dashboards and rules can be held to it.

Naming: https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from logsluice.errors import LogsluiceError

_LATENCY_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300, 900, 3600)
_BATCH_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120)

EVENTS_IN = Counter("logsluice_events_in_total", "Events read.", ["job"])
EVENTS_OUT = Counter("logsluice_events_out_total", "Events written and acknowledged.", ["job", "destination"])
EVENTS_REPEATED = Counter(
    "logsluice_events_repeated_total", "Writes that found their document already there.", ["job", "destination"]
)
DEAD_LETTERS = Counter("logsluice_dead_letters_total", "Events sent to the dead letters.", ["job", "reason"])
DROPPED_DOCUMENTS = Counter(
    "logsluice_dropped_documents_total",
    "Documents that Elasticsearch refused and whose source Kafka still holds.",
    ["job", "destination"],
)
TAGGED_EVENTS = Counter("logsluice_tagged_events_total", "Events indexed with a remark on their input.", ["job", "tag"])
PATTERN_MATCHES = Counter("logsluice_pattern_matches_total", "Events in which a pattern was found.", ["pattern"])
FORMAT_EVENTS = Counter("logsluice_format_events_total", "Events by the format that was recognised.", ["dataset"])
BATCH_DURATION = Histogram("logsluice_batch_duration_seconds", "Duration of a batch.", ["job"], buckets=_BATCH_BUCKETS)
END_TO_END_LATENCY = Histogram(
    "logsluice_end_to_end_latency_seconds",
    "From Kafka's append to the acknowledged write.",
    ["job"],
    buckets=_LATENCY_BUCKETS,
)
RETRIES = Counter("logsluice_retries_total", "Attempts repeated because a part was away or busy.", ["job", "part"])
CONSUMER_LAG = Gauge(
    "logsluice_consumer_lag_events", "Events a consumer group has not read yet.", ["group", "topic", "partition"]
)
INDEX_DOCUMENTS = Gauge("logsluice_index_documents", "Documents behind an alias.", ["index"])
FRESHNESS = Gauge("logsluice_index_freshness_seconds", "Age of the newest event behind an alias.", ["index"])
PART_UP = Gauge("logsluice_part_up", "Whether a part answered when it was last asked, 1 or 0.", ["part"])
EVENTS_BY_LEVEL = Counter(
    "logsluice_events_by_level_total", "Events by what they say of themselves.", ["service", "level"]
)
LATE_EVENTS = Counter("logsluice_late_events_total", "Events that came after their window was closed.", ["job"])
UNTIMED_EVENTS = Counter(
    "logsluice_untimed_events_total", "Events with no timestamp, or one that cannot be true, so given another.", ["job"]
)
UNREADABLE_EVENTS = Counter("logsluice_unreadable_events_total", "Events left out as unreadable.", ["job", "reason"])
UNREADABLE_AMOUNTS = Counter("logsluice_unreadable_amounts_total", "Payments and refunds without an amount.", ["job"])
WINDOWS_WRITTEN = Counter("logsluice_windows_written_total", "Finished windows written and acknowledged.", ["job"])
STATE_ROWS = Gauge("logsluice_state_rows", "Rows of a streaming query's state.", ["job"])
STATE_BYTES = Gauge("logsluice_state_bytes", "Bytes of a streaming query's state in memory and on disk.", ["job"])
ALERTS_OPEN = Gauge("logsluice_alerts_open", "Alerts that are open.", ["rule", "service", "severity"])
ALERTS = Counter("logsluice_alerts_total", "Alerts that opened or resolved.", ["rule", "severity", "transition"])
ALERT_DELIVERIES = Counter(
    "logsluice_alert_deliveries_total", "Attempts to tell of an alert, by how they ended.", ["output", "outcome"]
)
HTTP_REQUESTS = Counter("http_requests_total", "HTTP requests seen in the events.", ["service", "method", "status"])


def serve_metrics(host: str, port: int) -> None:
    """Serve ``/metrics`` from a background thread.

    Raises:
        LogsluiceError: The port is taken.
    """
    try:
        start_http_server(port, addr=host)
    except OSError as error:
        raise LogsluiceError(
            "cannot serve /metrics", where=f"{host}:{port}", why=error.strerror, hint="free the port or set another"
        ) from None
