"""The raw events' indices as the source of history, without Spark."""

from __future__ import annotations

from threading import Event

from elasticsearch import Elasticsearch

from logsluice.event.ecs import FIELDS
from logsluice.jobs.regex.stored_logs import plan_ranges, read_range
from logsluice.kafka.clients import producer
from logsluice.provision.setup import run_setup
from logsluice.settings import Settings
from tests.local.running import Runner, eventually


def test_measurements_are_history_too(settings: Settings, runner: Runner, elasticsearch_client: Elasticsearch) -> None:
    run_setup(settings, FIELDS)
    values = [b"INFO up", b'{"event.kind":"metric","system.load":0.5}', b"ERROR down"]
    sender = producer(settings, job="test")
    for value in values:
        sender.send(settings.kafka.topic, value, partition=0)
    sender.close()
    job = runner.job("index_job")

    def counted(alias: str) -> int:
        if not elasticsearch_client.indices.exists_alias(name=alias):
            return 0
        elasticsearch_client.indices.refresh(index=alias)
        return int(elasticsearch_client.count(index=alias)["count"])

    eventually(lambda: (counted(settings.logs_index), counted(settings.metrics_index)) == (2, 1))
    assert job.terminate() == 0
    ranges = list(plan_ranges(settings, None, Event()))
    read = [records for entry in ranges for records in read_range(entry, settings)]
    found = {(offset, value) for records in read for offset, value in zip(records.offset, records.value, strict=True)}
    assert found == set(enumerate(values))
