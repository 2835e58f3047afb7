"""The way from a burst in the traffic to an alert and back: producer, windows job, alerts job. Takes about ten minutes.

Not one of ``make test``'s, because it waits for real minutes. By hand, which also prints how long an alert took:

    .venv/bin/python -m pytest -s tests/local/alerts_end_to_end.py
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from elasticsearch import Elasticsearch

from logsluice.event.ecs import FIELDS
from logsluice.provision.setup import run_setup
from logsluice.settings import Settings, load_settings
from tests.local.kafka_reading import stored
from tests.local.running import Runner, eventually

EVERY, LASTS = 300, 90
"""Between two bursts lie at least the two whole minutes without errors that resolve an alert."""
RULE = "error-rate|payment|"


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a webhook was sent."""
    texts: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            texts.append(json.loads(self.rfile.read(int(self.headers["content-length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("LOGSLUICE_ALERTS__WEBHOOK_URL", f"http://127.0.0.1:{server.server_address[1]}/")
    yield texts
    server.shutdown()
    server.server_close()


@pytest.mark.timeout(1_800)
def test_a_burst_of_the_producer_is_told_at_each_output_and_resolves(
    settings: Settings, received: list[str], runner: Runner, elasticsearch_client: Elasticsearch
) -> None:
    run_setup(settings, FIELDS)
    settings = load_settings()
    runner.job("windows_job")
    runner.job("alerts_job")
    producer = runner.job(
        "producer_job", "--rate", "60", "--burst-every", str(EVERY), "--burst-for", str(LASTS), "--burst-factor", "12"
    )
    began = time.time()

    def of_rule(transition: str) -> list[str]:
        path = settings.alerts.log
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if transition in line and RULE in line]

    def topic(status: str) -> bool:
        alerts = [json.loads(record.value or b"{}") for record in stored(settings, settings.kafka.alerts_topic)]
        return any(a["alert"]["id"].startswith(RULE) and a["alert"]["status"] == status for a in alerts)

    def index(status: str) -> bool:
        query = {"bool": {"filter": [{"term": {"alert.status": status}}, {"term": {"rule.name": "error-rate"}}]}}
        found = elasticsearch_client.search(index=settings.alerts_index, query=query, ignore_unavailable=True)
        return any(hit["_id"].startswith(RULE) for hit in found["hits"]["hits"])

    eventually(lambda: of_rule("OPENED"), seconds=EVERY + 600)
    print(f"\nopened {time.time() - began - EVERY:.0f} s after the burst began")
    eventually(lambda: topic("open") and index("open"), seconds=60)
    eventually(lambda: any("*Opened*" in text and "payment" in text for text in received), seconds=60)
    eventually(lambda: of_rule("RESOLVED"), seconds=600)
    print(f"resolved {time.time() - began - EVERY - LASTS:.0f} s after it ended")
    eventually(lambda: topic("resolved") and index("resolved"), seconds=60)
    eventually(lambda: any("*Resolved*" in text and "payment" in text for text in received), seconds=60)
    assert producer.terminate() == 0
