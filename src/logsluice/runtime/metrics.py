"""Every Prometheus metric that logsluice exports, in one place, so that dashboards and rules can be held to it.

Naming: https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from logsluice.errors import LogsluiceError

MOST_NAMES: Final = 100
"""Values of a label that events fill."""

OTHER: Final = "other"
"""The value that stands for all beyond."""

_LONGEST_NAME: Final = 100
_LATENCY_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300, 900, 3600)
_REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
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

API_REQUESTS = Counter("logsluice_api_requests_total", "Requests answered.", ["method", "route", "status"])
API_REQUEST_DURATION = Histogram(
    "logsluice_api_request_duration_seconds",
    "From a request's headers to the end of its answer.",
    ["method", "route"],
    buckets=_REQUEST_BUCKETS,
)
API_REQUESTS_IN_PROGRESS = Gauge("logsluice_api_requests_in_progress", "Requests that are being answered.")
API_EVENTS = Counter(
    "logsluice_api_events_total", "Posted events by the way they came and what became of them.", ["kind", "outcome"]
)
API_EVENT_BYTES = Counter("logsluice_api_event_bytes_total", "Bytes of events that were stored.", ["kind"])
API_DELIVERY_DURATION = Histogram(
    "logsluice_api_delivery_duration_seconds",
    "From handing events to Kafka to the last report.",
    buckets=_REQUEST_BUCKETS,
)
API_KEYED_POSTS = Counter(
    "logsluice_api_keyed_posts_total", "Posts with an Idempotency-Key, by what was known of the key.", ["outcome"]
)
API_BREAKER = Gauge("logsluice_api_breaker_state", "1 for the state the breaker of a part is in.", ["part", "state"])
API_BREAKER_TRANSITIONS = Counter(
    "logsluice_api_breaker_transitions_total", "Changes of a breaker to a state.", ["part", "state"]
)
API_BUFFER_EVENTS = Gauge("logsluice_api_buffer_events", "Events on disk that Kafka does not have yet.")
API_BUFFER_BYTES = Gauge("logsluice_api_buffer_bytes", "Bytes of those events.")
REDIS_REFUSALS = Counter(
    "logsluice_redis_refusals_total", "Commands that a Redis answered with an error, by why.", ["part", "reason"]
)
REDIS_BYTES = Gauge("logsluice_redis_bytes", "Bytes that a Redis holds.", ["part"])
REDIS_MOST_BYTES = Gauge(
    "logsluice_redis_most_bytes", "Bytes that a Redis may hold; 0 where nothing says so.", ["part"]
)
API_REFUSED = Counter("logsluice_api_refused_total", "Requests turned away by the guard, by why.", ["reason"])
API_CACHE = Counter("logsluice_api_cache_total", "Answers looked for in the cache.", ["outcome"])
API_QUERIES = Counter("logsluice_api_queries_total", "Questions asked of Elasticsearch.", ["kind", "outcome"])
API_TAILS = Gauge("logsluice_api_tails", "Clients that follow the live tail.")


class LabelNames:
    """Names out of events as values of a label, so that what events make up can't make endless series: the first
    hundred as they are, cut to a hundred characters, all later ones as :data:`OTHER`.
    """

    def __init__(self) -> None:
        self._names: set[str] = set()

    def __call__(self, name: str) -> str:
        """The value that stands for a name."""
        name = name[:_LONGEST_NAME]
        if name not in self._names:
            if len(self._names) >= MOST_NAMES:
                return OTHER
            self._names.add(name)
        return name


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
