"""The index job as a process, on a real broker and a real Elasticsearch that go away and come back."""

from __future__ import annotations

import http.client
from collections.abc import Iterable
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from kafka.errors import RetriableError

from logsluice.event.ecs import FIELDS
from logsluice.event.identity import EventId
from logsluice.jobs.dead_letter_replay import read_letters
from logsluice.jobs.index.job import GROUP
from logsluice.kafka.clients import admin, producer
from logsluice.kafka.dead_letters import DeadLetter, DeadLetterWriter
from logsluice.kafka.offsets import lag
from logsluice.kafka.topics import describe_topic
from logsluice.provision.setup import run_setup, set_up_kafka
from logsluice.settings import Settings
from logsluice.stack.supervisor import LocalStack
from tests.local.pipeline import SECONDS, metric
from tests.local.running import Job, Runner, eventually

INDEX = "dev-logs-index"
MANY = 40_000


def send(settings: Settings, values: Iterable[bytes | None], partition: int | None = None) -> None:
    sender = producer(settings, job="test")
    for number, value in enumerate(values):
        sender.send(settings.kafka.topic, value, key=b"key-%d" % number, partition=partition)
    sender.flush()
    sender.close()


def lines(count: int) -> Iterable[bytes]:
    return (
        b'{"message":"paid %d","amount":%d}' % (number, number) if number % 2 else b"INFO payment %d accepted" % number
        for number in range(count)
    )


def stored(client: Elasticsearch, index: str = INDEX) -> int:
    if not client.indices.exists_alias(name=index):
        return 0
    client.indices.refresh(index=index)
    return int(client.count(index=index)["count"])


def all_is_read(settings: Settings) -> bool:
    client = admin(settings, job="test")
    try:
        return not any(lag(client, GROUP, describe_topic(client, settings.kafka.topic)).values())
    except RetriableError:
        # A broker that has just started does not know its groups yet.
        return False
    finally:
        client.close()


def finished(job: Job, settings: Settings, seconds: float = 120) -> None:
    """Wait until every event is committed, then end the job in order."""
    eventually(lambda: all_is_read(settings), seconds=seconds)
    assert job.terminate() == 0


@pytest.fixture
def ready(settings: Settings) -> Settings:
    run_setup(settings, FIELDS)
    return settings


def test_events_are_indexed_as_they_came_and_the_job_ends_when_asked(
    ready: Settings, runner: Runner, elasticsearch_client: Elasticsearch
) -> None:
    measured = b'{"event":{"kind":"metric"},"message":"load","system":{"load":0.5}}'
    paid = b'{"message":"paid","host":"web1","http":{"response":{"status_code":"abc"}}}'
    send(ready, [b"disk full on /var", measured, paid])
    job = runner.job("index_job")
    eventually(lambda: stored(elasticsearch_client) == 2)
    eventually(lambda: stored(elasticsearch_client, ready.metrics_index) == 1)
    connection = http.client.HTTPConnection("127.0.0.1", ready.metrics.index)
    connection.request("GET", "/metrics")
    metrics = connection.getresponse().read().decode()
    connection.close()
    assert 'logsluice_events_in_total{job="index"} 3.0' in metrics
    assert 'logsluice_events_out_total{destination="logs",job="index"} 2.0' in metrics
    assert 'logsluice_events_out_total{destination="metrics",job="index"} 1.0' in metrics
    finished(job, ready)
    [hit] = elasticsearch_client.search(index=ready.metrics_index)["hits"]["hits"]
    assert hit["_source"]["event"]["original"] == measured.decode()
    hits = elasticsearch_client.search(index=INDEX, query={"match": {"message": "paid"}})["hits"]["hits"]
    (source,) = [hit["_source"] for hit in hits]
    assert source["host"] == "web1"
    assert source["kafka"]["topic"] == ready.kafka.topic
    assert hits[0]["_id"] == source["event"]["id"]


def test_bad_events_are_indexed_or_in_the_dead_letters_with_their_reason_and_the_rest_goes_on(
    ready: Settings, runner: Runner, elasticsearch_client: Elasticsearch
) -> None:
    dead: dict[bytes | None, str] = {
        None: "tombstone",
        b"": "empty",
        b"\x00" * 1_000: "empty",
        b'{"":"a field without a name"}': "rejected",
        b'{"_id":"a field of the server\'s own"}': "rejected",
    }
    alive = [
        b"caf\xe9 \xff\xfe",
        b'{"broken": ',
        b"a\x00b\x1b[31m",
        b"x" * 1_000_000,
        b'{"@timestamp":"1970-01-01T00:00:00Z"}',
        b'{"@timestamp":"2999-01-01T00:00:00Z"}',
        b'{"source":{"ip":"nowhere"},"event":"login","message":{"no":"text"},"labels":"x"}',
        b'{"event":{"duration":"long"},"process":{"pid":[{"a":1}]}}',
    ]
    send(ready, [*dead, *alive, b"the last"], partition=0)
    job = runner.job("index_job")
    eventually(lambda: stored(elasticsearch_client, ready.dead_letters_index) == len(dead))
    finished(job, ready)
    assert stored(elasticsearch_client) == len(alive) + 1
    found = [entry.letter for entry in read_letters(ready, lambda _: True)]
    assert {letter.value: letter.reason for letter in found} == dead
    assert {letter.consumer for letter in found} == {"index"}
    details = " ".join(letter.detail for letter in found)
    assert "cannot be an empty string" in details
    assert "[_id] is a metadata field" in details
    hits = elasticsearch_client.search(index=ready.dead_letters_index, size=10, sort="kafka.offset")["hits"]["hits"]
    assert [hit["_source"]["dead_letter"]["reason"] for hit in hits] == [letter.reason for letter in found]
    assert [hit["_source"]["event"]["id"] for hit in hits] == [str(letter.event_id) for letter in found]
    assert {hit["_source"]["kafka"]["topic"] for hit in hits} == {ready.kafka.dead_letter_topic}
    tagged = elasticsearch_client.search(index=INDEX, query={"term": {"tags": "invalid_utf8"}})["hits"]["hits"]
    assert [hit["_source"]["event"]["original"] for hit in tagged] == ["caf\ufffd \ufffd\ufffd"]


def test_a_killed_job_goes_on_where_it_was_and_every_event_is_there_once(
    ready: Settings, runner: Runner, elasticsearch_client: Elasticsearch
) -> None:
    send(ready, lines(MANY))
    job = runner.job("index_job")
    eventually(lambda: stored(elasticsearch_client) > 0, every=0.05)
    job.kill()
    assert stored(elasticsearch_client) < MANY
    finished(runner.job("index_job"), ready)
    assert stored(elasticsearch_client) == MANY


@pytest.mark.parametrize("part", ["kafka", "elasticsearch"])
def test_a_server_that_is_killed_is_waited_for_and_every_event_is_there_once(
    ready: Settings, runner: Runner, elasticsearch_client: Elasticsearch, stack: LocalStack, part: Any
) -> None:
    send(ready, lines(MANY))
    job = runner.job("index_job")
    eventually(lambda: stored(elasticsearch_client) > 0, every=0.05)
    stack.kill_part(part)
    eventually(lambda: f"waiting for {part}" in job.output)
    stack.start(part)
    finished(job, ready)
    assert f"{part} answers again" in job.output
    assert stored(elasticsearch_client) == MANY
    assert read_letters(ready, lambda _: True) == []


def test_dead_letters_are_there_once_whoever_is_killed_and_what_is_refused_is_left_in_kafka(
    ready: Settings, runner: Runner, elasticsearch_client: Elasticsearch
) -> None:
    elasticsearch_client.indices.put_index_template(
        name="dev-narrow",
        index_patterns=[f"{ready.dead_letters_index}-*"],
        priority=999,
        template={
            "aliases": {ready.dead_letters_index: {}},
            "mappings": {"properties": {"dead_letter": {"properties": {"detail": {"type": "long"}}}}},
        },
    )
    writer = DeadLetterWriter(ready, job="test")
    letter = DeadLetter("regex", EventId(ready.kafka.topic, 0, 0, 1_763_800_000_000), "regex_timeout", "", b"slow")
    many = [letter._replace(event_id=letter.event_id._replace(offset=number)) for number in range(2_000)]
    writer.write(many)
    job = runner.job("index_job")
    eventually(lambda: stored(elasticsearch_client, ready.dead_letters_index) > 0, seconds=SECONDS, every=0.05)
    job.kill()
    job = runner.job("index_job")
    eventually(lambda: stored(elasticsearch_client, ready.dead_letters_index) == len(many), seconds=SECONDS)
    eventually(lambda: serves(job, ready), seconds=SECONDS)
    writer.write([letter._replace(detail="not a number", headers=[("a[b]", b"x")])])
    eventually(lambda: dropped(ready) == 1.0, seconds=SECONDS)
    writer.close()
    assert "Elasticsearch refuses a dead letter" in job.output
    assert job.terminate() == 0
    # The last one is about the same event as the first of the many.
    assert len(read_letters(ready, lambda _: True)) == len(many)


def serves(job: Job, settings: Settings) -> bool:
    assert job.process.poll() is None, job.output
    try:
        return dropped(settings) == 0.0
    except OSError:
        return False


def dropped(settings: Settings) -> float:
    return metric(settings.metrics.index, "logsluice_dropped_documents_total", destination="dead-letters")


def test_a_topic_that_is_deleted_and_made_again_is_read_from_its_beginning(
    ready: Settings, runner: Runner, elasticsearch_client: Elasticsearch
) -> None:
    send(ready, [b"old %d" % number for number in range(500)], partition=0)
    job = runner.job("index_job")
    eventually(lambda: stored(elasticsearch_client) == 500)
    client = admin(ready, job="test")
    client.delete_topics([ready.kafka.topic])
    eventually(lambda: ready.kafka.topic not in client.list_topics())
    client.close()
    set_up_kafka(ready)
    # More than before: an offset of the old topic would point into the middle of the new one.
    send(ready, [b"new %d" % number for number in range(800)], partition=0)
    eventually(lambda: stored(elasticsearch_client) == 1_300)
    assert "deleted and made again" in job.output
    assert job.terminate() == 0


def test_a_topic_that_is_deleted_and_made_again_while_the_job_is_down_is_read_from_its_beginning(
    ready: Settings, runner: Runner, elasticsearch_client: Elasticsearch
) -> None:
    send(ready, [b"old %d" % number for number in range(500)], partition=0)
    finished(runner.job("index_job"), ready)
    client = admin(ready, job="test")
    client.delete_topics([ready.kafka.topic])
    eventually(lambda: ready.kafka.topic not in client.list_topics())
    client.close()
    set_up_kafka(ready)
    send(ready, [b"new %d" % number for number in range(800)], partition=0)
    finished(runner.job("index_job"), ready)
    assert stored(elasticsearch_client) == 1_300


def test_what_setup_makes_is_waited_for(
    settings: Settings, runner: Runner, elasticsearch_client: Elasticsearch
) -> None:
    job = runner.job("index_job")
    eventually(lambda: "no index template dev-logs-index" in job.output)
    run_setup(settings, FIELDS)
    send(settings, [b"at last"])
    eventually(lambda: stored(elasticsearch_client) == 1)
    assert job.terminate() == 0


def test_a_job_that_waits_ends_when_asked(ready: Settings, runner: Runner, stack: LocalStack) -> None:
    stack.stop("kafka")
    job = runner.job("index_job")
    eventually(lambda: "waiting for kafka" in job.output)
    assert ready.kafka.bootstrap_servers in job.output
    assert job.terminate() == 0


def test_a_secured_broker_is_read_and_its_dead_letters_written(
    secure_settings: Settings, runner: Runner, elasticsearch_client: Elasticsearch
) -> None:
    run_setup(secure_settings, FIELDS)
    send(secure_settings, [b"over TLS", None])
    finished(runner.job("index_job"), secure_settings)
    assert stored(elasticsearch_client) == 1
    assert [entry.letter.reason for entry in read_letters(secure_settings, lambda _: True)] == ["tombstone"]
