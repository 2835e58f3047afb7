"""The exporter: metrics that no single job can tell: the lag of every consumer group, freshness and size of the
indices, requests and levels of every service.

Each of the three is watched on a thread of its own, so that a part that is away holds up nothing else; what
was measured last stays on ``/metrics``, and ``logsluice_part_up`` says that the part is away.

``http_requests_total`` and ``logsluice_events_by_level_total`` count what the events themselves tell, from where
the group ``logsluice-app-service`` left off. Like every counter they start at zero with the process; Prometheus'
``rate`` and ``increase`` allow for that. A process that is killed may count a batch twice, on either side of its
restart.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any, Final, NamedTuple, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import structlog
from elastic_transport import TlsError
from elasticsearch import ApiError, Elasticsearch

from logsluice.documents.extraction_input import extraction_input
from logsluice.elasticsearch.client import connect, describe_error, refusal
from logsluice.elasticsearch.client import is_unavailable as is_elasticsearch_unavailable
from logsluice.event.ecs import LEVELS
from logsluice.event.records import Records
from logsluice.extract import ColumnarExtractor, load_registry
from logsluice.extract.schema import REASON
from logsluice.extract.severity import counted_level
from logsluice.kafka.clients import admin
from logsluice.kafka.clients import is_unavailable as is_kafka_unavailable
from logsluice.kafka.offsets import lag
from logsluice.kafka.topic_reader import ConsumerRecord, TopicReader
from logsluice.kafka.topics import TopicNotReadyError, describe_topic
from logsluice.runtime import metrics
from logsluice.runtime.metrics import OTHER, LabelNames
from logsluice.runtime.retry import RetryContext, retry_on_unavailable
from logsluice.runtime.threads import run_together
from logsluice.settings import Settings

JOB: Final = "app-service"
GROUP: Final = "logsluice-app-service"
GROUPS: Final = ("logsluice-regex", "logsluice-index", "logsluice-windows", GROUP)
METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
UNKNOWN: Final = "unknown"
_LAG_SECONDS: Final = 5.0
_REQUESTS_SECONDS: Final = 1.0
_MANY_RECORDS: Final = 1_000
_INDEX_SECONDS: Final = 5.0
_STATUS: Final = range(100, 600)
_SERVICE: Final = "service.name"
_METHOD: Final = "http.request.method"
_STATUS_CODE: Final = "http.response.status_code"
_LEVEL: Final = "log.level"
_COUNT: Final = "count_all"

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Counts(NamedTuple):
    """What a batch of events tells.

    Attributes:
        requests: HTTP requests by service, method and status.
        levels: Events that could be read, by service and level.
    """

    requests: Counter[tuple[str, str, str]]
    levels: Counter[tuple[str, str]]


class EventCounter:
    """Counts requests by service, method and status, and events by service and level; what events make up
    can't make endless series.

    Methods that HTTP does not know, statuses outside of 100 to 599 and services beyond the first hundred
    count as ``other``; events that name no service or level as ``unknown``.
    """

    def __init__(self, extractor: ColumnarExtractor) -> None:
        self._extractor = extractor
        self._services = LabelNames()

    def count(self, records: Sequence[ConsumerRecord]) -> Counts:
        """What records tell; those that can't be read are left out."""
        extracted = self._extractor.extract(extraction_input(_columns(records)))
        table = pa.Table.from_batches([extracted.filter(pc.is_null(extracted[REASON]))])
        counts = Counts(Counter(), Counter())
        for row in _grouped(table, (_SERVICE, _METHOD, _STATUS_CODE)):
            if row[_METHOD] is not None and row[_STATUS_CODE] is not None:
                request = (self._service(row[_SERVICE]), _method(row[_METHOD]), _status(row[_STATUS_CODE]))
                counts.requests[request] += row[_COUNT]
        for row in _grouped(_with_counted_levels(table), (_SERVICE, _LEVEL)):
            level = (self._service(row[_SERVICE]), row[_LEVEL] if row[_LEVEL] in LEVELS else UNKNOWN)
            counts.levels[level] += row[_COUNT]
        return counts

    def _service(self, name: str | None) -> str:
        return self._services(name) if name else UNKNOWN


def run_exporter(settings: Settings, directory: Path | None, stop: Event) -> None:
    """Measure until ``stop`` is set; parts that are away are waited for.

    Raises:
        LogsluiceError: The registry is wrong, or a server refuses the credentials.
    """
    counter = EventCounter(ColumnarExtractor(load_registry(directory), time_zone=settings.time_zone))
    for part in ("kafka", "elasticsearch"):
        metrics.PART_UP.labels(part).set(0)
    run_together(
        stop,
        lag=lambda: _watch_lag(settings, stop),
        indices=lambda: _watch_indices(settings, stop),
        events=lambda: _count_events(settings, counter, stop),
    )


def _watch_lag(settings: Settings, stop: Event) -> None:
    topic = settings.kafka.topic
    context = RetryContext("kafka", f"{settings.kafka.bootstrap_servers}, topic {topic}", JOB, stop)
    with closing(admin(settings, job=JOB, stop=stop)) as client:

        def measure() -> None:
            described = describe_topic(client, topic)
            for group in GROUPS:
                lag(client, group, described)

        while not stop.is_set():
            _retry_and_report(measure, _has_no_topic_yet, context)
            stop.wait(_LAG_SECONDS)


def _watch_indices(settings: Settings, stop: Event) -> None:
    server = settings.elasticsearch
    context = RetryContext("elasticsearch", server.hosts, JOB, stop, describe_error=describe_error)
    with closing(connect(server)) as client:

        def measure() -> None:
            for alias in (settings.logs_index, settings.results_index):
                measure_index(client, alias)
            others = (settings.windows_index, settings.alerts_index, settings.dead_letters_index)
            for alias in (settings.metrics_index, *others):
                measure_index(client, alias, flows=False)

        while not stop.is_set():
            try:
                _retry_and_report(measure, is_elasticsearch_unavailable, context)
            except (ApiError, TlsError) as error:
                raise refusal(error, server.hosts) from None
            stop.wait(_INDEX_SECONDS)


def measure_index(client: Elasticsearch, alias: str, *, flows: bool = True) -> None:
    """Set the documents behind an alias and the age of the newest event; an alias that is not there has none.

    The age is worked out anew at every scrape, so that it grows while nobody can measure. It is set for what
    ``flows`` alone: that nothing came for an hour means nothing of alerts or dead letters.
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
    if not flows:
        return
    if newest is not None:
        seconds = newest / 1000
        metrics.FRESHNESS.labels(alias).set_function(lambda: max(0.0, time.time() - seconds))
    else:
        metrics.FRESHNESS.remove_by_labels({"index": alias})


def _count_events(settings: Settings, counter: EventCounter, stop: Event) -> None:
    with closing(TopicReader(settings, settings.kafka.topic, GROUP, job=JOB, stop=stop)) as reader:
        while not stop.is_set():
            records = reader.poll()
            if not records:
                continue
            started_at = time.monotonic()
            metrics.EVENTS_IN.labels(JOB).inc(len(records))
            counts = counter.count(records)
            for request, number in counts.requests.items():
                metrics.HTTP_REQUESTS.labels(*request).inc(number)
            for level, number in counts.levels.items():
                metrics.EVENTS_BY_LEVEL.labels(*level).inc(number)
            metrics.BATCH_DURATION.labels(JOB).observe(time.monotonic() - started_at)
            reader.commit()
            if len(records) < _MANY_RECORDS:
                # A batch has its price however small it is: a trickle is counted once a second, not event by event.
                stop.wait(_REQUESTS_SECONDS)


def _retry_and_report(
    function: Callable[[], T], is_unavailable: Callable[[BaseException], bool], context: RetryContext
) -> T:
    """Wait while a part is unavailable, and say on ``/metrics`` that it is."""
    up = metrics.PART_UP.labels(context.part)

    def observed(error: BaseException) -> bool:
        is_down = is_unavailable(error)
        up.set(not is_down)
        return is_down

    result = retry_on_unavailable(function, observed, context)
    up.set(1)
    return result


def _has_no_topic_yet(error: BaseException) -> bool:
    return isinstance(error, TopicNotReadyError) or is_kafka_unavailable(error)


def _grouped(table: pa.Table, columns: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The rows by the values of some columns; a field that no format or pattern fills is null."""
    empty = pa.nulls(table.num_rows, pa.string())
    chosen = {name: table.column(name) if name in table.column_names else empty for name in columns}
    yield from pa.table(chosen).group_by(list(columns)).aggregate([([], _COUNT)]).to_pylist()


def _with_counted_levels(table: pa.Table) -> pa.Table:
    frame = pl.DataFrame(pl.from_arrow(table.select([_SERVICE, _LEVEL, _STATUS_CODE])))
    return frame.with_columns(counted_level().alias(_LEVEL)).to_arrow()


def _columns(records: Sequence[ConsumerRecord]) -> Records:
    return Records(
        topic=[record.topic for record in records],
        partition=[record.partition for record in records],
        offset=[record.offset for record in records],
        timestamp_ms=[record.timestamp for record in records],
        value=[record.value for record in records],
        headers=[record.headers for record in records],
    )


def _method(method: str) -> str:
    return upper if (upper := method.upper()) in METHODS else OTHER


def _status(status: int) -> str:
    return str(status) if status in _STATUS else OTHER
