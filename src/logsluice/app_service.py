"""What no single job can tell: lag of every consumer, freshness and size of the indices, requests served.

Each of the three is watched on a thread of its own, so that a part that is away holds up nothing else; what
was measured last stays on ``/metrics``, and ``logsluice_part_up`` says that the part is away.

``http_requests_total`` counts what the events themselves tell, from where the group ``logsluice-app-service``
left off. Like every counter it starts at zero with the process; Prometheus' ``rate`` and ``increase`` allow
for that. A process that is killed may count a batch twice, on either side of its restart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final, TypeVar

import pyarrow as pa
import structlog
from elastic_transport import TlsError
from elasticsearch import ApiError, Elasticsearch

from logsluice import metrics
from logsluice.extract import INPUT_SCHEMA, Extractor, load_registry, make_extractor
from logsluice.kafka import TopicNotReady, admin, describe_topic, lag
from logsluice.kafka import is_away as is_kafka_away
from logsluice.kafka.reader import ConsumerRecord, TopicReader
from logsluice.settings import Settings
from logsluice.sinks.elasticsearch import connect, explain, refusal
from logsluice.sinks.elasticsearch import is_away as is_elasticsearch_away
from logsluice.sources.limits import ORIGINAL_LENGTH, ORIGINAL_SHA256
from logsluice.waiting import Part, Stopped, wait_out

JOB: Final = "app-service"
GROUP: Final = "logsluice-app-service"
GROUPS: Final = ("logsluice-regex", "logsluice-index", "logsluice-windows", GROUP)
METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
OTHER: Final = "other"
UNKNOWN: Final = "unknown"
MOST_SERVICES: Final = 100
_LAG_SECONDS: Final = 5.0
_INDEX_SECONDS: Final = 5.0
_LONGEST_SERVICE_NAME: Final = 100
_STATUS: Final = range(100, 600)

T = TypeVar("T")
log = structlog.get_logger(__name__)


class RequestCounter:
    """Counts requests by service, method and status; what events make up can't make endless series.

    Methods that HTTP does not know, statuses outside of 100 to 599 and services beyond the first hundred
    count as ``other``; events that name no service as ``unknown``.
    """

    def __init__(self, extractor: Extractor) -> None:
        self._extractor = extractor
        self._services: set[str] = set()

    def count(self, records: Sequence[ConsumerRecord]) -> dict[tuple[str, str, str], int]:
        """The requests among records; those of a batch by service, method and status."""
        table = pa.Table.from_batches([self._extractor.extract(_batch(records))])
        columns = {name: table.column(field) for name, field in _COLUMNS.items() if field in table.column_names}
        if len(columns) < len(_COLUMNS):
            return {}
        groups = pa.table(columns).group_by(list(_COLUMNS)).aggregate([([], "count_all")])
        counts: dict[tuple[str, str, str], int] = {}
        for row in groups.to_pylist():
            if row["method"] is None or row["status"] is None:
                continue
            key = (self._service(row["service"]), _method(row["method"]), _status(row["status"]))
            counts[key] = counts.get(key, 0) + row["count_all"]
        return counts

    def _service(self, name: str | None) -> str:
        if not name:
            return UNKNOWN
        name = name[:_LONGEST_SERVICE_NAME]
        if name not in self._services:
            if len(self._services) >= MOST_SERVICES:
                return OTHER
            self._services.add(name)
        return name


_COLUMNS: Final = {
    "service": "service.name",
    "method": "http.request.method",
    "status": "http.response.status_code",
}


def run_app_service(settings: Settings, directory: Path | None, stop: Event) -> None:
    """Measure until ``stop`` is set; parts that are away are waited for.

    Args:
        settings: Of the environment.
        directory: Its folder, with patterns and formats.
        stop: Ends it when set.

    Raises:
        LogsluiceError: The registry is wrong, or a server refuses the credentials.
    """
    counter = RequestCounter(make_extractor(load_registry(directory), time_zone=settings.time_zone))
    failures: list[BaseException] = []
    for part in ("kafka", "elasticsearch"):
        metrics.PART_UP.labels(part).set(0)

    def watch(work: Callable[[], None]) -> Callable[[], None]:
        def until_stopped() -> None:
            try:
                work()
            except Stopped:
                pass
            except BaseException as error:
                failures.append(error)
                stop.set()

        return until_stopped

    threads = [
        Thread(target=watch(lambda: _watch_lag(settings, stop)), name="lag"),
        Thread(target=watch(lambda: _watch_indices(settings, stop)), name="indices"),
        Thread(target=watch(lambda: _count_requests(settings, counter, stop)), name="requests"),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _watch_lag(settings: Settings, stop: Event) -> None:
    topic = settings.kafka.topic
    where = f"{settings.kafka.bootstrap_servers}, topic {topic}"
    with closing(admin(settings, job=JOB, stop=stop)) as client:

        def measure() -> None:
            described = describe_topic(client, topic)
            for group in GROUPS:
                lag(client, group, described)

        while not stop.is_set():
            _when_up(measure, "kafka", where, _has_no_topic_yet, str, stop)
            stop.wait(_LAG_SECONDS)


def _watch_indices(settings: Settings, stop: Event) -> None:
    server = settings.elasticsearch
    with closing(connect(server)) as client:

        def measure() -> None:
            for alias in (settings.logs_index, settings.results_index):
                measure_index(client, alias)

        while not stop.is_set():
            try:
                _when_up(measure, "elasticsearch", server.hosts, _cannot_search_yet, explain, stop)
            except (ApiError, TlsError) as error:
                raise refusal(error, server.hosts) from None
            stop.wait(_INDEX_SECONDS)


def measure_index(client: Elasticsearch, alias: str) -> None:
    """Set the documents behind an alias and the age of the newest event; an alias that is not there has none.

    The age is worked out anew whenever it is asked for, so that it grows while nobody can measure.
    """
    answer = client.search(
        index=alias,
        size=0,
        track_total_hits=True,
        ignore_unavailable=True,
        allow_no_indices=True,
        aggs={"newest": {"max": {"field": "kafka.timestamp"}}},
    )
    metrics.INDEX_DOCUMENTS.labels(alias).set(answer["hits"]["total"]["value"])
    newest = (answer.get("aggregations") or {}).get("newest", {}).get("value")
    if newest is not None:
        seconds = newest / 1000
        metrics.FRESHNESS.labels(alias).set_function(lambda: max(0.0, time.time() - seconds))
    else:
        metrics.FRESHNESS.remove_by_labels({"index": alias})


def _count_requests(settings: Settings, counter: RequestCounter, stop: Event) -> None:
    with closing(TopicReader(settings, settings.kafka.topic, GROUP, job=JOB, stop=stop)) as reader:
        while not stop.is_set():
            records = reader.poll()
            if not records:
                continue
            began = time.monotonic()
            metrics.EVENTS_IN.labels(JOB).inc(len(records))
            for key, requests in counter.count(records).items():
                metrics.HTTP_REQUESTS.labels(*key).inc(requests)
            metrics.BATCH_DURATION.labels(JOB).observe(time.monotonic() - began)
            reader.commit()


def _when_up(
    function: Callable[[], T],
    part: Part,
    where: str,
    away: Callable[[BaseException], bool],
    why: Callable[[BaseException], str],
    stop: Event,
) -> T:
    """Wait while a part is away, and say on ``/metrics`` that it is."""
    up = metrics.PART_UP.labels(part)

    def noted(error: BaseException) -> bool:
        is_gone = away(error)
        up.set(not is_gone)
        return is_gone

    result = wait_out(function, noted, part=part, where=where, job=JOB, stop=stop, why=why)
    up.set(1)
    return result


def _has_no_topic_yet(error: BaseException) -> bool:
    return isinstance(error, TopicNotReady) or is_kafka_away(error)


def _cannot_search_yet(error: BaseException) -> bool:
    """Shards that are just starting make a search fail on a server that is there."""
    return is_elasticsearch_away(error) or (
        isinstance(error, ApiError) and error.meta.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    )


def _batch(records: Sequence[ConsumerRecord]) -> pa.RecordBatch:
    headers: list[dict[str, Any]] = [dict(record.headers) for record in records]
    lengths = [header.get(ORIGINAL_LENGTH) for header in headers]
    digests = [header.get(ORIGINAL_SHA256) for header in headers]
    return pa.RecordBatch.from_arrays(
        [
            pa.array([record.value for record in records], pa.binary()),
            pa.array([record.timestamp for record in records], pa.int64()),
            pa.array([int(length) if length and length.isdigit() else None for length in lengths], pa.int64()),
            pa.array([digest.decode("ascii", "replace") if digest else None for digest in digests], pa.string()),
        ],
        schema=INPUT_SCHEMA,
    )


def _method(method: str) -> str:
    return upper if (upper := method.upper()) in METHODS else OTHER


def _status(status: int) -> str:
    return str(status) if status in _STATUS else OTHER
