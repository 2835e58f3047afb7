"""The bulk writer, the dead letters and the offsets on a real Elasticsearch and a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import orjson
import pytest
from elasticsearch import Elasticsearch
from structlog.testing import capture_logs

from logsluice.elasticsearch.bulk import BulkOutcome, BulkWriter, IndexAction
from logsluice.elasticsearch.client import wait_for_templates, wait_until_up
from logsluice.errors import LogsluiceError
from logsluice.event.ecs import FIELDS
from logsluice.event.identity import EventId
from logsluice.jobs.dead_letter_replay import read_letters
from logsluice.kafka.clients import admin, is_unavailable, producer
from logsluice.kafka.dead_letters import DeadLetter, DeadLetterWriter
from logsluice.kafka.offsets import commit_offsets, lag, starting_offsets
from logsluice.kafka.topics import describe_topic, wait_for_topic
from logsluice.provision.setup import run_setup, set_up_kafka
from logsluice.runtime.retry import RetryContext, StoppedError, retry_on_unavailable
from logsluice.settings import Settings
from logsluice.stack.supervisor import LocalStack
from tests.local.running import eventually

INDEX = "dev-results-index-2026.11.22"


@pytest.fixture
def writer(settings: Settings) -> Iterator[BulkWriter]:
    run_setup(settings, FIELDS)
    writer = BulkWriter(settings.elasticsearch, job="test")
    yield writer
    writer.close()


def action(number: int, version: int | None = None, **fields: object) -> IndexAction:
    document = orjson.dumps({"message": f"event {number}", **fields})
    return IndexAction(INDEX, str(number), "create" if version is None else "index", version, document)


def test_a_document_made_twice_is_there_once(writer: BulkWriter, elasticsearch_client: Elasticsearch) -> None:
    assert writer.write(action(number) for number in range(3)) == BulkOutcome(3, 0)
    assert writer.write(action(number) for number in range(5)) == BulkOutcome(2, 3)
    elasticsearch_client.indices.refresh(index=INDEX)
    assert elasticsearch_client.count(index="dev-results-index")["count"] == 5


def test_a_newer_revision_replaces_an_older_one_and_never_the_other_way_round(
    writer: BulkWriter, elasticsearch_client: Elasticsearch
) -> None:
    for version, written, unchanged in ((2, 1, 0), (2, 1, 0), (3, 1, 0), (2, 0, 1)):
        assert writer.write([action(1, version, logsluice={"revision": version})]) == BulkOutcome(written, unchanged)
    stored = elasticsearch_client.get(index=INDEX, id="1")
    assert (stored["_version"], stored["_source"]["logsluice"]["revision"]) == (3, 3)


def test_a_document_that_the_server_will_never_take_comes_back_with_its_words(writer: BulkWriter) -> None:
    bad = action(1, source={"ip": "not an address"})
    outcome = writer.write([action(0), bad, action(2)])
    assert outcome.written == 2
    (refusal,) = outcome.rejected
    assert (refusal.position, refusal.action) == (1, bad)
    assert "source.ip" in refusal.reason
    assert "not an address" in refusal.reason


def test_a_document_for_which_a_whole_request_is_refused_comes_back_alone(
    writer: BulkWriter, elasticsearch_client: Elasticsearch
) -> None:
    bad = IndexAction(INDEX, "x" * 600, "create", None, orjson.dumps({"message": "its id is too long"}))
    outcome = writer.write([*(action(number) for number in range(100)), bad, action(100)])
    assert outcome.written == 101
    (refusal,) = outcome.rejected
    assert (refusal.position, refusal.action) == (100, bad)
    assert "must be no longer than 512 bytes" in refusal.reason
    elasticsearch_client.indices.refresh(index=INDEX)
    assert elasticsearch_client.count(index=INDEX)["count"] == 101


def test_many_documents_go_in_several_requests_and_keep_their_places(
    writer: BulkWriter, elasticsearch_client: Elasticsearch
) -> None:
    wrong = {4_321, 11_999}
    actions = [action(number, source={"ip": "nowhere" if number in wrong else "10.0.0.1"}) for number in range(12_000)]
    outcome = writer.write(actions)
    assert outcome.written == 12_000 - len(wrong)
    assert {refusal.position for refusal in outcome.rejected} == wrong
    elasticsearch_client.indices.refresh(index=INDEX)
    assert elasticsearch_client.count(index=INDEX)["count"] == outcome.written


def test_a_server_that_is_killed_in_the_middle_is_waited_for_and_every_document_is_there_once(
    writer: BulkWriter, elasticsearch_client: Elasticsearch, stack: LocalStack
) -> None:
    size = 60_000
    killed = Event()

    def actions() -> Iterator[IndexAction]:
        for number in range(size):
            if number == size // 2:
                stack.kill_part("elasticsearch")
                killed.set()
            yield action(number, version=1)

    with capture_logs() as events, ThreadPoolExecutor(1) as pool:
        writing = pool.submit(writer.write, actions())
        assert killed.wait(120)
        eventually(lambda: any(entry["event"] == "waiting for elasticsearch" for entry in events))
        stack.start("elasticsearch")
        outcome = writing.result(300)
    assert outcome.written + outcome.existing == size
    assert outcome.rejected == []
    assert any(entry["event"] == "elasticsearch answers again" for entry in events)
    elasticsearch_client.indices.refresh(index=INDEX)
    assert elasticsearch_client.count(index=INDEX)["count"] == size


@pytest.mark.parametrize("block", ["index.blocks.write", "index.blocks.read_only_allow_delete"])
def test_an_index_that_takes_no_writes_is_waited_for(
    writer: BulkWriter, elasticsearch_client: Elasticsearch, block: str
) -> None:
    writer.write([action(0)])
    elasticsearch_client.indices.put_settings(index=INDEX, settings={block: True})
    with capture_logs() as events, ThreadPoolExecutor(1) as pool:
        writing = pool.submit(writer.write, [action(1)])
        (entry,) = eventually(lambda: [entry for entry in events if entry["event"] == "waiting for elasticsearch"])
        assert "cluster_block_exception" in entry["reason"]
        elasticsearch_client.indices.put_settings(index=INDEX, settings={block: None})
        assert writing.result(60) == BulkOutcome(1, 0)


def test_a_wait_for_the_server_ends_when_the_process_is_to_stop(settings: Settings, stack: LocalStack) -> None:
    stop = Event()
    stack.stop("elasticsearch")
    writer = BulkWriter(settings.elasticsearch, job="test", stop=stop)
    with capture_logs() as events, ThreadPoolExecutor(1) as pool:
        future = pool.submit(writer.write, [action(1)])
        eventually(lambda: events)
        stop.set()
        with pytest.raises(StoppedError):
            future.result(60)


def test_templates_that_are_not_there_yet_are_waited_for(settings: Settings) -> None:
    server = settings.elasticsearch
    with capture_logs() as events, ThreadPoolExecutor(1) as pool:
        writer = BulkWriter(server, job="test")
        wait_until_up(writer.client, server, job="test")
        future = pool.submit(wait_for_templates, writer.client, server, ["dev-logs-index"], job="test")
        (entry,) = eventually(lambda: [entry for entry in events if "waiting" in entry["event"]])
        assert "dev-logs-index; `logsluice setup` makes it" in entry["reason"]
        run_setup(settings, FIELDS)
        future.result(60)


def letter(number: int, value: bytes | None = b"x", reason: str = "rejected") -> DeadLetter:
    return DeadLetter("index", EventId("logs", 0, number, 1), reason, "why", value, None, [("from", b"a")])


def test_dead_letters_are_read_back_and_the_largest_event_fits(settings: Settings) -> None:
    set_up_kafka(settings)
    written = [letter(0), letter(1, None, "tombstone"), letter(2, bytes(range(256)) * 4_096)]
    writer = DeadLetterWriter(settings, job="test")
    writer.write(written)
    writer.write(written[:1])
    writer.close()
    assert [entry.letter for entry in read_letters(settings, lambda _: True)] == [*written[1:], written[0]]


def test_dead_letters_wait_for_a_broker_that_is_killed(settings: Settings, stack: LocalStack) -> None:
    set_up_kafka(settings)
    writer = DeadLetterWriter(settings, job="test")
    writer.write([letter(0)])
    stack.kill_part("kafka")
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(writer.write, [letter(1), letter(2)])
        stack.start("kafka")
        writing.result(120)
    writer.close()
    assert [entry.letter for entry in read_letters(settings, lambda _: True)] == [letter(0), letter(1), letter(2)]


def test_a_broker_and_a_topic_that_come_late_are_waited_for(settings: Settings, stack: LocalStack) -> None:
    stack.stop("kafka")
    with capture_logs() as events, ThreadPoolExecutor(1) as pool:
        future = pool.submit(wait_for_topic, settings, settings.kafka.topic, job="test")
        (first,) = eventually(lambda: [entry for entry in events if "waiting" in entry["event"]])
        assert "ECONNREFUSED" in first["reason"]
        stack.start("kafka")
        eventually(lambda: any("no such topic" in str(entry.get("reason")) for entry in events))
        set_up_kafka(settings)
        topic = future.result(60)
    assert topic.partitions == (0, 1, 2, 3)


def test_a_committed_offset_remembers_its_topic(settings: Settings) -> None:
    set_up_kafka(settings)
    client = admin(settings, job="test")
    name, group = settings.kafka.topic, f"group-of-{settings.kafka.topic}"
    try:
        sender = producer(settings, job="test")
        for number in range(10):
            sender.send(name, b"%d" % number, partition=0)
        sender.flush()
        topic = describe_topic(client, name)
        # The first use of groups makes the broker's own topic for them.
        first = retry_on_unavailable(
            lambda: starting_offsets(client, group, topic), is_unavailable, RetryContext("kafka", name, "test")
        )
        assert first[0] == 0
        commit_offsets(client, group, topic, {0: 4})
        assert starting_offsets(client, group, topic)[0] == 4
        assert lag(client, group, topic) == {0: 6, 1: 0, 2: 0, 3: 0}
        other = topic._replace(id="another")
        commit_offsets(client, group, other, {0: 7})
        with capture_logs() as events:
            assert starting_offsets(client, group, topic)[0] == 0
        assert "deleted and made again" in events[0]["event"]
        assert lag(client, group, topic)[0] == 10
        commit_offsets(client, group, topic, {0: 999})
        with capture_logs() as events:
            assert starting_offsets(client, group, topic)[0] == 0
        assert events[0]["committed"] == 999
    finally:
        client.close()


def test_a_secured_broker_takes_the_right_password_alone(secure_settings: Settings) -> None:
    admin(secure_settings, job="test").close()
    wrong = secure_settings.kafka.model_copy(update={"username": "somebody"})
    with pytest.raises(LogsluiceError, match=r"kafka\.username"):
        admin(secure_settings.model_copy(update={"kafka": wrong}), job="test", wait=False)


def test_a_broker_whose_certificate_is_not_trusted_is_told_so(secure_settings: Settings) -> None:
    stranger = secure_settings.kafka.model_copy(update={"ssl_cafile": None})
    with pytest.raises(LogsluiceError, match="CERTIFICATE_VERIFY_FAILED"):
        admin(secure_settings.model_copy(update={"kafka": stranger}), job="test", wait=False)
