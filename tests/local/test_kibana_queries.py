"""Every search and chart of Kibana, asked of a real Elasticsearch that holds what the pipeline writes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from elasticsearch import Elasticsearch

from logsluice.demo.traffic import Profile, traffic
from logsluice.documents.extraction_input import extraction_input
from logsluice.documents.log import log_document
from logsluice.documents.result import result_documents
from logsluice.elasticsearch.bulk import BulkWriter, IndexAction
from logsluice.event.identity import EventId
from logsluice.event.records import Records, index_name
from logsluice.extract import ColumnarExtractor, load_registry
from logsluice.jobs.index.dead_letters import dead_letter_document
from logsluice.kafka.dead_letters import DeadLetter
from logsluice.provision.kibana import saved_objects
from logsluice.provision.kibana.objects import SavedObject
from logsluice.provision.setup import set_up_elasticsearch
from logsluice.settings import Settings
from tests.local.lens_queries import chart_body, rows, search_body

pytestmark = pytest.mark.timeout(1_800)
MEASURED = b'{"@timestamp":"%s","event":{"kind":"metric"},"service":{"name":"payment"},"system":{"load":0.5}}'


def events(settings: Settings, now: float) -> Iterator[IndexAction]:
    """What the regex job and the index job write of ten minutes of the shop's traffic, and of a measurement."""
    profile = Profile(rate=5, count=3_000, error_rate=0.1)
    values = [event.line.encode() for event in traffic(11, profile, now - 600)]
    values.append(MEASURED % datetime.fromtimestamp(now, UTC).isoformat().encode())
    size, stamp = len(values), int(now * 1000)
    records = Records(["logs"] * size, [0] * size, list(range(size)), [stamp] * size, values)
    registry = load_registry()
    extracted = ColumnarExtractor(registry).extract(extraction_input(records))
    actions, _ = result_documents(records, extracted, registry.revision, settings.results_index)
    yield from actions
    for row, value in enumerate(values):
        document = log_document(records.event_id(row), None, value)
        alias = settings.metrics_index if document.metric else settings.logs_index
        yield IndexAction(index_name(alias, stamp), str(records.event_id(row)), "create", None, document.body)


def others(settings: Settings, now: float) -> Iterator[IndexAction]:
    """Windows, alerts and dead letters, in the form that is agreed on."""
    stamp = int(now * 1000)
    minute = datetime.fromtimestamp(now, UTC).replace(second=0, microsecond=0)
    for back in range(5):
        start = minute - timedelta(minutes=back)
        for service, errors in (("payment", 5), ("catalog", 0)):
            window = {
                "start": start.isoformat(),
                "end": (start + timedelta(minutes=1)).isoformat(),
                "events": 50,
                "errors": errors,
                "critical": 1,
                "error_rate": errors / 50,
                "levels": {"info": 45, "error": errors},
                "users": 12,
                "durations": 40,
                "duration": {"p50": 30_000_000, "p95": 90_000_000, "p99": 200_000_000},
                "late": 0,
            }
            document = {"@timestamp": start.isoformat(), "window": window, "service": {"name": service}}
            name = f"{start.isoformat()}|{service}"
            yield IndexAction(index_name(settings.windows_index, stamp), name, "index", None, orjson.dumps(document))
    for status in ("open", "resolved"):
        alert = {
            "id": f"error_rate|payment|{status}",
            "status": status,
            "severity": "critical",
            "value": 0.4,
            "threshold": 0.1,
            "last_seen": minute.isoformat(),
        }
        document = {
            "@timestamp": minute.isoformat(),
            "alert": alert,
            "rule": {"name": "error_rate", "description": "too many errors"},
            "event": {"kind": "alert", "start": minute.isoformat()},
            "service": {"name": "payment"},
            "message": "payment: 40 % of events are errors",
        }
        yield IndexAction(
            index_name(settings.alerts_index, stamp), str(alert["id"]), "index", None, orjson.dumps(document)
        )
    for offset, (consumer, reason, detail) in enumerate(
        (("index", "empty", ""), ("index", "rejected", "mapper_parsing_exception"), ("regex", "regex_timeout", ""))
    ):
        letter = DeadLetter(consumer, EventId("logs", 0, offset, stamp), reason, detail, b"a line" if offset else b"")
        record_id = EventId("logs-dlq", 0, offset, stamp)
        yield IndexAction(
            index_name(settings.dead_letters_index, stamp),
            str(record_id),
            "create",
            None,
            dead_letter_document(record_id, letter),
        )


@pytest.fixture
def filled(settings: Settings, elasticsearch_client: Elasticsearch) -> Settings:
    set_up_elasticsearch(settings, load_registry().fields)
    now = time.time()
    writer = BulkWriter(settings.elasticsearch, job="test")
    assert writer.write([*events(settings, now), *others(settings, now)]).rejected == []
    writer.close()
    elasticsearch_client.indices.refresh(index="dev-*")
    return settings


def test_every_view_search_and_chart_finds_documents_and_counts_them_right(
    filled: Settings, elasticsearch_client: Elasticsearch
) -> None:
    """In one test, so that the documents are made once."""
    objects = saved_objects(filled)
    assert_all_find(objects, elasticsearch_client)
    assert_numbers_are_right(objects, filled, elasticsearch_client)


def assert_all_find(objects: list[SavedObject], elasticsearch_client: Elasticsearch) -> None:
    views = {entry["id"]: entry["attributes"]["title"] for entry in objects if entry["type"] == "index-pattern"}
    for name, alias in views.items():
        assert elasticsearch_client.count(index=alias)["count"] > 0, name

    searches = [entry for entry in objects if entry["type"] == "search"]
    for search in searches:
        view, body = search_body(search)
        answer = elasticsearch_client.search(index=views[view], **body).body
        hits = answer["hits"]["hits"]
        assert hits, search["id"]
        shown = {field for hit in hits for field in hit["fields"]}
        # Whatever happened, each column has something to show in some row.
        assert shown == set(body["fields"]), search["id"]
        assert answer["aggregations"]["breakdown"]["buckets"], search["id"]
        keys = [hit["sort"] for hit in hits]
        [order] = [next(iter(entry.values()))["order"] for entry in body["sort"]]
        assert keys == sorted(keys, reverse=order == "desc"), search["id"]

    charts = [entry for entry in objects if entry["type"] == "lens"]
    assert (len(searches), len(charts)) == (4, 14)
    for chart in charts:
        view, body = chart_body(chart)
        answer = elasticsearch_client.search(index=views[view], **body).body
        assert answer["hits"]["total"]["value"] > 0, chart["id"]
        found = list(rows(chart, answer))
        assert found, chart["id"]
        for column in found[0]:
            assert any(row[column] for row in found), f"{chart['id']}: nothing in {column}"


def assert_numbers_are_right(found: list[SavedObject], filled: Settings, elasticsearch_client: Elasticsearch) -> None:
    objects = {entry["id"]: entry for entry in found}
    views = {name: entry["attributes"]["title"] for name, entry in objects.items() if entry["type"] == "index-pattern"}

    def shown(name: str) -> list[dict[str, Any]]:
        view, body = chart_body(objects[name])
        return list(rows(objects[name], elasticsearch_client.search(index=views[view], **body).body))

    everything = elasticsearch_client.count(index=filled.results_index)["count"]
    by_level = {"terms": {"log.level": ["error", "critical"]}}
    by_status = {"range": {"http.response.status_code": {"gte": 500}}}
    either = {"bool": {"should": [by_level, by_status]}}
    errors = elasticsearch_client.count(index=filled.results_index, query=either)["count"]
    assert shown("logsluice-events") == [{"number": everything}]
    assert shown("logsluice-errors") == [{"number": errors}]
    assert shown("logsluice-open-alerts") == [{"number": 1}]
    assert sum(row["errors"] for row in shown("logsluice-errors-by-service-chart")) == errors
    assert sum(row["letters"] for row in shown("logsluice-dead-letters-by-reason")) == 3
    worst = {row["service"]: row["rate"] for row in shown("logsluice-error-rate")}
    assert worst == {"payment": 0.1, "catalog": 0.0}
    assert {row["status"] for row in shown("logsluice-requests-by-status") if row["requests"]} >= {"2xx", "4xx", "5xx"}
