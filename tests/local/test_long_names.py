"""What one event with a very long name does to the jobs: nothing, on a real broker, Spark and Elasticsearch."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

from elasticsearch import Elasticsearch

from logsluice.settings import Settings
from tests.local.pipeline import Pipeline
from tests.local.running import Runner, eventually

LENGTHS = (400, 600, 600, 30_000)


def event(service: str) -> bytes:
    now = datetime.fromtimestamp(time.time(), UTC).isoformat()
    return json.dumps({"@timestamp": now, "service": {"name": service}, "log.level": "error", "message": "x"}).encode()


def test_services_with_long_names_are_counted_like_others(
    settings: Settings, elasticsearch_client: Elasticsearch, runner: Runner
) -> None:
    pipeline = Pipeline(settings, elasticsearch_client, runner)
    pipeline.set_up()
    names = ["payment", *(str(number) + "s" * (length - 1) for number, length in enumerate(LENGTHS))]
    ids = pipeline.send([event(name) for name in names])
    index, regex = pipeline.index_job(), pipeline.regex_job()
    windows = runner.job("windows_job", "--until-caught-up", env={"LOGSLUICE_WINDOWS__IDLE_SECONDS": "5"})
    assert windows.wait(240) == 0, windows.output
    documents = pipeline.documents(settings.windows_index)
    assert sorted(document["service"]["name"] for document in documents.values()) == sorted(names)
    assert all(document["window"]["errors"] == 1 for document in documents.values())
    assert max(len(name.encode()) for name in documents) <= 512
    eventually(lambda: pipeline.counts() == (len(ids), len(ids)), seconds=120)
    assert pipeline.letters() == {}
    assert (index.terminate(), regex.terminate()) == (0, 0)
