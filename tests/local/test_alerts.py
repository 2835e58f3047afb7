"""The alerts job as a process, on a real broker and a real Elasticsearch: every output, a webhook down, a kill."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any
from urllib.request import urlopen

import pytest
from elasticsearch import Elasticsearch
from kafka import TopicPartition

from logsluice.alerts.backtest import backtest_rules, recorded_alerts
from logsluice.alerts.outputs.webhook import key_of, sign
from logsluice.alerts.queries import read_classes, read_hours, read_windows
from logsluice.alerts.rules import Metric, load_rules
from logsluice.alerts.windows import Window, moment_of
from logsluice.errors import LogsluiceError
from logsluice.event.ecs import FIELDS
from logsluice.event.moments import iso
from logsluice.kafka.clients import consumer
from logsluice.provision.setup import run_setup
from logsluice.settings import ElasticsearchSettings, Settings, load_settings
from logsluice.stack.ports import free_port
from tests.local.running import ROOT, Runner
from tests.local.running import eventually as eventually_within
from tests.local.window_documents import WINDOWS, store
from tests.shared.hour_summaries import summarize_hours

ALERTS, RESULTS = "dev-alerts-index", "dev-results-index"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
eventually = partial(eventually_within, seconds=300)


def fail(client: Elasticsearch, service: str, kind: str, minute: int) -> None:
    """A fact about an error, in the results index."""
    moment = moment_of(minute)
    body = {"@timestamp": iso(moment), "service": {"name": service}, "error": {"type": kind}, "log": {"level": "error"}}
    client.index(index=f"{RESULTS}-{moment:%Y.%m.%d}", document=body, refresh=True)


class Webhook:
    """A receiver that keeps what it was sent; it listens when it is told to."""

    def __init__(self) -> None:
        self.port = free_port()
        self.received: list[tuple[dict[str, str], bytes]] = []
        self._server: ThreadingHTTPServer | None = None

    def listen(self) -> None:
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                received.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()

    def texts(self) -> list[str]:
        return [json.loads(body)["text"] for _, body in self.received]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    webhook = Webhook()
    yield webhook
    webhook.close()


@pytest.fixture
def ready(settings: Settings, webhook: Webhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with a webhook of the test's own, a quick job, and rules that resolve at once."""
    config = tmp_path / "config"
    config.mkdir()
    for name in ("settings.yaml", "patterns.yaml"):
        (config / name).write_bytes((ROOT / "config" / "dev" / name).read_bytes())
    rules = (ROOT / "config" / "common" / "alerts.yaml").read_text()
    (config / "alerts.yaml").write_text(
        rules.replace("    threshold: 0.10\n", "    threshold: 0.10\n    resolve_after: 1\n")
    )
    for name, value in {
        "CONFIG": str(config),
        "ALERTS__WEBHOOK_URL": f"http://127.0.0.1:{webhook.port}/services/hook",
        "ALERTS__WEBHOOK_SECRET": SECRET,
        "ALERTS__INTERVAL_SECONDS": "0.5",
        "ALERTS__ALLOWANCE_SECONDS": "0",
    }.items():
        monkeypatch.setenv(f"LOGSLUICE_{name}", value)
    loaded = load_settings()
    run_setup(loaded, FIELDS)
    assert settings.elasticsearch == loaded.elasticsearch
    return loaded


def found(client: Elasticsearch, rule: str) -> list[dict[str, Any]]:
    if not client.indices.exists_alias(name=ALERTS):
        return []
    client.indices.refresh(index=ALERTS)
    answer = client.search(index=ALERTS, query={"term": {"rule.name": rule}}, size=100)
    return [hit["_source"] | {"_id": hit["_id"], "_index": hit["_index"]} for hit in answer["hits"]["hits"]]


def records(settings: Settings, rule: str) -> list[tuple[str, dict[str, Any]]]:
    partition = TopicPartition(settings.kafka.alerts_topic, 0)
    with closing(consumer(settings, job="test")) as reader:
        reader.assign([partition])
        reader.seek_to_beginning(partition)
        end = reader.end_offsets([partition])[partition]
        read = []
        while reader.position(partition) < end:
            for batch in reader.poll(timeout_ms=500).values():
                read += [(record.key.decode(), json.loads(record.value)) for record in batch]
    return [(key, value) for key, value in read if value["rule"]["name"] == rule]


def lines(settings: Settings, word: str) -> list[str]:
    path = settings.alerts.log
    return [line for line in path.read_text().splitlines() if word in line] if path.exists() else []


def metrics(settings: Settings) -> str:
    with urlopen(f"http://127.0.0.1:{settings.metrics.alerts}/metrics") as answer:
        return str(answer.read().decode())


@pytest.mark.timeout(1_200)
def test_a_burst_is_told_everywhere_through_a_kill_and_resolves(
    ready: Settings, runner: Runner, elasticsearch_client: Elasticsearch, webhook: Webhook
) -> None:
    client = elasticsearch_client
    # The burst began in the last whole minute and, so far, has no end.
    now = int(time.time() // 60)
    store(client, [Window(now + m, service, 300, 9) for m in range(-100, 30) for service in ("auth", "payment")])
    store(client, [Window(now + m, "payment", 400, 130) for m in range(-1, 30)])
    fail(client, "auth", "KeyError", now - 90)
    fail(client, "auth", "KeyError", now - 2)
    fail(client, "auth", "MemoryError", now - 2)
    # The alerts index takes no writes at first, and the webhook is down: the others are told all the same.
    today = f"{ALERTS}-{moment_of(now - 1):%Y.%m.%d}"
    client.indices.create(index=today)
    client.indices.put_settings(index=today, settings={"index.blocks.write": True})

    job = runner.job("alerts_job")
    eventually(lambda: lines(ready, "OPENED critical: payment: 32.5%"))
    eventually(lambda: records(ready, "error-rate"))
    eventually(lambda: 'deliveries_total{outcome="failed",output="webhook"}' in metrics(ready))
    assert found(client, "error-rate") == []
    client.indices.put_settings(index=today, settings={"index.blocks.write": False})

    (alert,) = eventually(lambda: found(client, "error-rate"))
    begin = iso(moment_of(now - 1))
    assert (alert["_id"], alert["alert"]["status"]) == (f"error-rate|payment|{begin}", "open")
    assert alert["alert"]["value"] == 0.325
    assert alert["event"]["url"].endswith("&service=payment&level=error")
    assert all(word in alert["message"] for word in ("payment", "32.5%", "10.0%"))
    eventually(lambda: found(client, "error-rate")[0]["alert"]["pending"] == ["webhook:opened"])
    assert 'logsluice_alerts_open{rule="error-rate",service="payment",severity="critical"} 1.0' in metrics(ready)
    assert 'logsluice_alerts_total{rule="error-rate",severity="critical",transition="opened"} 1.0' in metrics(ready)
    assert "alert opened: critical: payment: 32.5%" in job.output
    assert "services/hook" not in job.output, "the webhook's address is a secret"
    assert [entry["error"]["type"] for entry in found(client, "new-error")] == ["MemoryError"]
    listed = runner.cli("alerts", "list", env={"COLUMNS": "200"})
    assert "payment: 32.5% of its events are errors" in listed.stdout, listed.stderr

    job.kill()
    webhook.listen()
    again = runner.job("alerts_job")
    eventually(lambda: any("payment: 32.5%" in text for text in webhook.texts()))
    for headers, body in webhook.received:
        signed = sign(key_of(SECRET), headers["webhook-id"], int(headers["webhook-timestamp"]), body)
        assert headers["webhook-signature"] == signed
    # The burst ends with the minute before this one, or, where this one ends just now, with this one.
    end = int(time.time() // 60)
    store(client, [Window(end + m, "payment", 300, 9) for m in range(30)])
    (alert,) = eventually(
        lambda: [each for each in found(client, "error-rate") if each["alert"]["status"] == "resolved"]
    )
    assert alert["_id"] == f"error-rate|payment|{begin}"
    assert alert["event"]["end"] in (iso(moment_of(end)), iso(moment_of(end + 1)))
    eventually(lambda: any("*Resolved*" in text and "32.5%" in text for text in webhook.texts()))
    eventually(lambda: found(client, "error-rate")[0]["alert"]["pending"] == [])
    assert again.terminate() == 0, again.output

    published = [(key, value["alert"]["status"]) for key, value in records(ready, "error-rate")]
    assert published == [(alert["_id"], "open"), (alert["_id"], "resolved")]
    assert [line.split()[1] for line in lines(ready, "payment: 32.5%")] == ["OPENED", "RESOLVED"]
    payment = [text for text in webhook.texts() if "32.5%" in text]
    assert [text.split("*")[1] for text in payment] == ["Opened", "Resolved"]
    names = [headers["webhook-id"] for headers, _ in webhook.received]
    assert len(names) == len(set(names))

    backtested = runner.cli("alerts", "test", "--since", "30m", "--json")
    assert backtested.returncode == 0, backtested.stderr
    would = {
        json.loads(line)["alert"]["id"]: json.loads(line)["alert"]["status"] for line in backtested.stdout.splitlines()
    }
    assert would[alert["_id"]] == "resolved"
    backtest = backtest_rules(ready, load_rules(ROOT / "config" / "dev"), moment_of(end - 5))
    assert backtest.services == 2
    assert set(backtest.without_baseline) == {"unusual-events", "unusual-errors", "unusual-latency"}
    # Both services have windows all the time.
    assert {each["rule"]["name"] for rule in ("silence", "pipeline") for each in found(client, rule)} == set()


@pytest.mark.usefixtures("ready")
def test_what_is_read_is_what_was_written(elasticsearch_client: Elasticsearch) -> None:
    client, random = elasticsearch_client, Random(3)
    first = 29_000_160
    windows = [
        Window(
            first + minute, service, random.randrange(1, 200), random.randrange(9), 1, random.randrange(5), 1,
            p50=float(random.randrange(10**8)), p95=float(random.randrange(10**9)),
        )
        for minute in range(3_000)
        for service in ("a", "b", "unknown")
        if random.random() < 0.9
    ]  # fmt: skip
    store(client, windows)
    read = [*read_windows(client, WINDOWS, first + 10, first + 2_900)]
    assert len(read) > 5_000, "more than a page"
    assert read == sorted(
        (window for window in windows if 10 <= window.minute - first <= 2_900), key=lambda w: (w.minute, w.service)
    )

    metrics: tuple[Metric, ...] = ("events", "errors", "error_rate", "p50")
    hours = {
        (hour.service, hour.hour): hour for hour in read_hours(client, WINDOWS, first // 60, first // 60 + 40, metrics)
    }
    expected = {(h.service, h.hour): h for h in summarize_hours(windows, metrics) if h.hour <= first // 60 + 40}
    assert set(hours) == set(expected)
    for key, hour in expected.items():
        assert (hours[key].windows, hours[key].payments, hours[key].refunds) == (
            hour.windows,
            hour.payments,
            hour.refunds,
        )
        for metric, middle in hour.metrics.items():
            # The server's digest takes a neighbour for the middle of an even number.
            spread = 0.1 * max(middle.median, middle.mad)
            assert hours[key].metrics[metric].median == pytest.approx(middle.median, abs=spread + 1)
            assert hours[key].metrics[metric].mad == pytest.approx(middle.mad, abs=spread + 1)

    fail(client, "a", "Old", first)
    fail(client, "a", "Old", first + 500)
    fail(client, "b", "New", first + 500)
    classes = read_classes(client, RESULTS, first - 10, first + 600, first + 400)
    assert sorted(classes.recent(first + 510, 60)) == [("b", "New", first + 500)]
    assert classes.events("a", "Old", first + 499, first + 500) == 1


@pytest.mark.usefixtures("ready")
def test_a_user_is_told_in_a_line_what_is_wrong(runner: Runner, tmp_path: Path) -> None:
    empty = runner.cli("alerts", "test", "--since", "1h")
    assert empty.returncode == 0
    assert f"There are no windows since 1h in {WINDOWS}" in empty.stdout
    assert recorded_alerts(load_settings(), moment_of(0)) == []
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("rules: [{name: a, kind: nothing}]")
    failed = runner.cli("alerts", "test", "--rules", wrong)
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"logsluice: {wrong}, rule 'a': kind: 'nothing' is no kind of rule")
    nowhere = load_settings(elasticsearch=ElasticsearchSettings(hosts=f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(LogsluiceError, match="Elasticsearch does not answer"):
        recorded_alerts(nowhere, moment_of(0))
