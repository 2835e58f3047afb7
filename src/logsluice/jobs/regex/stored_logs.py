"""The logs index and the metrics index as a source: events as they came, past Kafka's retention.

Read in ranges of offsets, each page sorted and continued by what the documents themselves hold, so that a
reader that was killed, or a server that was restarted, costs a page and nothing else.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from threading import Event
from typing import Any, TypeVar

from elasticsearch import Elasticsearch

from logsluice.documents.log import INVALID_UTF8
from logsluice.elasticsearch.client import connect, retry_request
from logsluice.elasticsearch.paging import hit_pages
from logsluice.event.limits import MAX_VALUE_BYTES, ORIGINAL_LENGTH, ORIGINAL_SHA256
from logsluice.event.records import Header, Records, index_name
from logsluice.jobs.regex.stats import JOB
from logsluice.settings import Settings

T = TypeVar("T")

_RANGE_EVENTS = 20_000
_PAGE = 1_000
_MOST_PARTITIONS = 10_000
# A cut line ends with a whole character, so it may be a little shorter than the limit.
_MAYBE_CUT = MAX_VALUE_BYTES - 3
_SOURCE = ["event.original", "kafka", "tags"]
_KEPT = ["event.hash", "logsluice.original_bytes", "logsluice.original_length"]


@dataclass(frozen=True, slots=True)
class LogRange:
    """A range of one partition's offsets in one day's index.

    Attributes:
        end: Offset after the last.
        since_ms: Leave out what Kafka appended before, milliseconds since the epoch.
        events: About how many documents there are in it.
    """

    index: str
    partition: int
    first: int
    end: int
    since_ms: int
    events: int

    @property
    def query(self) -> dict[str, Any]:
        """The documents in it."""
        return {
            "bool": {
                "filter": [
                    {"term": {"kafka.partition": self.partition}},
                    {"range": {"kafka.offset": {"gte": self.first, "lt": self.end}}},
                    {"range": {"kafka.timestamp": {"gte": self.since_ms, "format": "epoch_millis"}}},
                ]
            }
        }


def plan_ranges(settings: Settings, since: datetime | None, stop: Event) -> Iterator[LogRange]:
    """Cut the logs index and the metrics index into ranges, day by day.

    Raises:
        LogsluiceError: The server refuses the credentials.
        StoppedError: ``stop`` was set while the server was away.
    """
    since_ms = int(since.timestamp() * 1000) if since else 0
    since_part = {"range": {"kafka.timestamp": {"gte": since_ms, "format": "epoch_millis"}}}
    by_partition = {
        "terms": {"field": "kafka.partition", "size": _MOST_PARTITIONS},
        "aggs": {"first": {"min": {"field": "kafka.offset"}}, "last": {"max": {"field": "kafka.offset"}}},
    }
    with closing(connect(settings.elasticsearch)) as client:
        retry = partial(retry_request, settings=settings.elasticsearch, job=JOB, stop=stop)
        days = [f"{settings.logs_index}-*", f"{settings.metrics_index}-*"]
        retry(partial(client.indices.refresh, index=days))
        for index in sorted(retry(partial(client.indices.get, index=days, features="aliases"))):
            aggregations = {"partitions": by_partition}
            answer = retry(partial(client.search, index=index, size=0, query=since_part, aggs=aggregations))
            for bucket in answer["aggregations"]["partitions"]["buckets"]:
                first, end = int(bucket["first"]["value"]), int(bucket["last"]["value"]) + 1
                events = bucket["doc_count"]
                pieces = max(1, -(-events // _RANGE_EVENTS))
                cuts = pairwise(first + (end - first) * piece // pieces for piece in range(pieces + 1))
                shares = pairwise(events * piece // pieces for piece in range(pieces + 1))
                for (begin, until), (before, after) in zip(cuts, shares, strict=True):
                    yield LogRange(index, int(bucket["key"]), begin, until, since_ms, after - before)


def read_range(entry: LogRange, settings: Settings) -> Iterator[Records]:
    """The events of a range as Kafka once held them, a page at a time.

    Bytes that are not UTF-8, and the length and hash of a line that was cut, are not in the logs index; they
    are taken from the event's document in the results index, where there is one.

    Raises:
        LogsluiceError: The server refuses the credentials.
    """
    server = settings.elasticsearch
    with closing(connect(server)) as client:
        pages = hit_pages(
            lambda **request: retry_request(partial(client.search, **request), server, job=JOB),
            size=_PAGE,
            index=entry.index,
            query=entry.query,
            sort=[{"kafka.offset": "asc"}, {"kafka.timestamp": "asc"}],
            source_includes=_SOURCE,
        )
        for hits in pages:
            yield _records(client, [hit["_source"] for hit in hits], settings)


def _records(client: Elasticsearch, sources: list[dict[str, Any]], settings: Settings) -> Records:
    kafka = [source["kafka"] for source in sources]
    values: list[bytes | None] = [source["event"]["original"].encode() for source in sources]
    keys = [entry.get("key") for entry in kafka]
    records = Records(
        topic=[entry["topic"] for entry in kafka],
        partition=[entry["partition"] for entry in kafka],
        offset=[entry["offset"] for entry in kafka],
        timestamp_ms=[_millis(entry["timestamp"]) for entry in kafka],
        value=values,
        key=[key.encode() if key is not None else None for key in keys],
        headers=[()] * len(values),
    )
    incomplete = [
        row
        for row, source in enumerate(sources)
        if INVALID_UTF8 in (source.get("tags") or ()) or len(values[row] or b"") >= _MAYBE_CUT
    ]
    return _completed(client, records, incomplete, settings) if incomplete else records


def _completed(client: Elasticsearch, records: Records, rows: list[int], settings: Settings) -> Records:
    values = list(records.value)
    headers: list[tuple[Header, ...]] = [()] * len(records)
    wanted = [
        {
            "_index": index_name(settings.results_index, records.timestamp_ms[row]),
            "_id": str(records.event_id(row)),
            "_source": _KEPT,
        }
        for row in rows
    ]
    answer = retry_request(partial(client.mget, docs=wanted), settings.elasticsearch, job=JOB)
    for row, found in zip(rows, answer["docs"], strict=True):
        source = found.get("_source", {})
        kept = source.get("logsluice", {})
        if "original_bytes" in kept:
            values[row] = base64.b64decode(kept["original_bytes"])
        if "original_length" in kept:
            digest = source.get("event", {}).get("hash", "")
            length = str(kept["original_length"])
            headers[row] = ((ORIGINAL_LENGTH, length.encode()), (ORIGINAL_SHA256, digest.encode()))
    return Records(records.topic, records.partition, records.offset, records.timestamp_ms, values, records.key, headers)


def _millis(text: str) -> int:
    moment = datetime.fromisoformat(text).astimezone(UTC)
    return round(moment.timestamp() * 1000)
