"""The app-service against a real broker and a real Elasticsearch."""

from __future__ import annotations

import time
import urllib.request

import orjson
from elasticsearch import Elasticsearch
from prometheus_client.parser import text_string_to_metric_families

from logsluice.extract import load_registry
from logsluice.kafka.clients import producer
from logsluice.provision.setup import run_setup
from logsluice.settings import Settings, config_dir
from logsluice.stack.supervisor import LocalStack
from tests.local.running import Runner, eventually

Series = dict[tuple[str, ...], float]


def scraped(settings: Settings, name: str) -> Series:
    """The values of a metric by its labels' values, in the order of the labels' names."""
    url = f"http://{settings.metrics.host}:{settings.metrics.app_service}/metrics"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def send(settings: Settings, *values: bytes) -> None:
    sender = producer(settings, job="test")
    for value in values:
        sender.send(settings.kafka.topic, value)
    sender.flush()
    sender.close()


def request(method: str, status: int, service: str = "shop") -> bytes:
    return orjson.dumps(
        {
            "@timestamp": "2026-11-22T10:14:13.123Z",
            "service.name": service,
            "message": "x",
            "http.request.method": method,
            "http.response.status_code": status,
        }
    )


def test_what_is_counted_and_measured(settings: Settings, runner: Runner, elasticsearch_client: Elasticsearch) -> None:
    run_setup(settings, load_registry(config_dir()).fields)
    access = b'10.0.0.1 - - [22/Nov/2026:10:14:13 +0000] "GET /x HTTP/1.1" 404 10 "-" "curl"'
    send(
        settings,
        *[request("GET", 200)] * 3,
        request("BREW", 418),
        request("POST", 201, "pay"),
        *[
            orjson.dumps({"service.name": "pay", "message": "x", "log.level": level})
            for level in ("FATAL", "CRIT", "error")
        ],
        access,
        b"no request at all",
        b"{broken",
        b"",
    )
    now_ms = int(time.time() * 1000)
    index = f"{settings.logs_index}-{time.strftime('%Y.%m.%d', time.gmtime())}"
    for number in range(3):
        elasticsearch_client.index(
            index=index,
            id=f"{number}",
            document={"@timestamp": now_ms, "kafka": {"timestamp": now_ms - 60_000 * number}},
            refresh=True,
        )
    job = runner.job("metrics_job")
    expected: Series = {
        ("GET", "shop", "200"): 3.0,
        ("other", "shop", "418"): 1.0,
        ("POST", "pay", "201"): 1.0,
        ("GET", "unknown", "404"): 1.0,
    }
    eventually(lambda: scraped(settings, "http_requests_total") == expected)
    levels: Series = {
        ("critical", "pay"): 2.0,
        ("error", "pay"): 1.0,
        ("unknown", "pay"): 1.0,
        ("unknown", "shop"): 4.0,
    }
    levels |= {("unknown", "unknown"): 3.0}
    eventually(lambda: scraped(settings, "logsluice_events_by_level_total") == levels)
    eventually(lambda: scraped(settings, "logsluice_index_documents").get((settings.logs_index,)) == 3.0)
    assert scraped(settings, "logsluice_index_documents")[(settings.results_index,)] == 0.0
    age = scraped(settings, "logsluice_index_freshness_seconds")
    assert set(age) == {(settings.logs_index,)}
    assert 0 <= age[(settings.logs_index,)] < 60

    def lag(group: str) -> float:
        found = scraped(settings, "logsluice_consumer_lag_events")
        return sum(value for labels, value in found.items() if labels[0] == group)

    eventually(lambda: lag("logsluice-app-service") == 0 and lag("logsluice-regex") == 12)
    assert lag("logsluice-index") == 12
    assert scraped(settings, "logsluice_part_up") == {("elasticsearch",): 1.0, ("kafka",): 1.0}
    assert job.terminate() == 0

    # What was counted is not counted again by the next one.
    send(settings, request("PUT", 204))
    job = runner.job("metrics_job")
    eventually(lambda: scraped(settings, "http_requests_total") == {("PUT", "shop", "204"): 1.0})
    assert job.terminate() == 0
    assert "Traceback" not in job.output


def test_parts_that_are_away_are_waited_for(settings: Settings, stack: LocalStack, runner: Runner) -> None:
    stack.kill_part("elasticsearch")
    stack.kill_part("kafka")
    job = runner.job("metrics_job")
    eventually(lambda: scraped(settings, "logsluice_part_up") == {("elasticsearch",): 0.0, ("kafka",): 0.0})
    stack.start()
    run_setup(settings, load_registry(config_dir()).fields)
    send(settings, request("GET", 200))
    eventually(lambda: scraped(settings, "logsluice_part_up") == {("elasticsearch",): 1.0, ("kafka",): 1.0})
    eventually(lambda: scraped(settings, "http_requests_total") == {("GET", "shop", "200"): 1.0})
    stack.kill_part("elasticsearch")
    eventually(lambda: scraped(settings, "logsluice_part_up")[("elasticsearch",)] == 0.0)
    send(settings, request("GET", 200))
    eventually(lambda: scraped(settings, "http_requests_total") == {("GET", "shop", "200"): 2.0})
    assert job.terminate() == 0


def test_services_beyond_the_first_hundred_are_other(settings: Settings, runner: Runner) -> None:
    run_setup(settings, load_registry(config_dir()).fields)
    send(settings, *[request("GET", 200, f"service-{number}") for number in range(150)])
    job = runner.job("metrics_job")
    eventually(lambda: sum(scraped(settings, "http_requests_total").values()) == 150)
    found = scraped(settings, "http_requests_total")
    assert len(found) == 101
    assert found[("GET", "other", "200")] == 50
    eventually(lambda: scraped(settings, "logsluice_events_by_level_total").get(("unknown", "other")) == 50)
    assert job.terminate() == 0


def test_a_taken_port_is_named(settings: Settings, runner: Runner) -> None:
    first = runner.job("metrics_job")
    eventually(lambda: scraped(settings, "logsluice_part_up"))
    second = runner.job("metrics_job")
    assert second.wait() == 1
    assert str(settings.metrics.app_service) in second.output
    assert first.terminate() == 0
