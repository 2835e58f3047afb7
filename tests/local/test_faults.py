"""What happens to events when parts are killed, missing, late, read-only or made again: nothing.

``LOGSLUICE_FAULT_EVENTS`` sets how many events flow while parts are killed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Condition, Thread

import pytest
from elasticsearch import Elasticsearch

from logsluice.extract import load_registry
from logsluice.kafka.clients import admin, producer
from logsluice.kafka.topics import TopicNotReadyError, describe_topic
from logsluice.provision.setup import set_up_elasticsearch, set_up_kafka
from logsluice.settings import Settings
from logsluice.stack.supervisor import LocalStack
from tests.local.pipeline import (
    SECONDS,
    Counts,
    Pipeline,
    assert_gone,
    assert_no_stack_trace,
    assert_runs,
    command_line,
    ends_well,
    family,
    python_workers,
    wait_for_output,
)
from tests.local.running import Runner, eventually

EVENTS = int(os.environ.get("LOGSLUICE_FAULT_EVENTS", "25000"))
EMPTY_EVERY = 1_000
# Seven times a part is killed, and each time up to three steps flow before it is.
STEP = EVENTS // 40
PATIENCE = SECONDS * max(1, EVENTS // 40_000)

pytestmark = pytest.mark.timeout(5 * PATIENCE)


def event(number: int) -> bytes:
    """Events of several formats; now and then one with nothing in it, which belongs into the dead letters."""
    if number % EMPTY_EVERY == 7:
        return b" " * (number // EMPTY_EVERY)
    if number % 3 == 0:
        return b'{"@timestamp":"2026-11-22T10:00:00Z","log.level":"info","message":"order %d paid"}' % number
    if number % 3 == 1:
        return b"2026-11-22 10:00:00,123 ERROR [payment] java.io.IOException: order %d took 35ms" % number
    return b'10.0.0.7 - - [22/Nov/2026:10:00:00 +0000] "GET /orders/%d HTTP/1.1" 200 512 "-" "curl/8.5"' % number


class Flow:
    """Events that flow into the topic, never so many that nothing is left to come."""

    def __init__(self, settings: Settings) -> None:
        self.sent = 0
        self.allowed = 0
        self._settings = settings
        self._changed = Condition()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def allow(self, number: int) -> None:
        """Let it flow until so many events are in the topic."""
        with self._changed:
            self.allowed = max(self.allowed, min(number, EVENTS))
            self._changed.notify()

    def _run(self) -> None:
        with closing(producer(self._settings, job="test")) as sender:
            while self.sent < EVENTS:
                with self._changed:
                    self._changed.wait_for(lambda: self.allowed > self.sent)
                    end = self.allowed
                futures = [sender.send(self._settings.kafka.topic, event(number)) for number in range(self.sent, end)]
                for future in futures:
                    future.get(timeout=SECONDS)
                self.sent = end


@pytest.fixture
def pipeline(settings: Settings, elasticsearch_client: Elasticsearch, runner: Runner) -> Pipeline:
    return Pipeline(settings, elasticsearch_client, runner)


class Killing:
    """One long flow of events, in which part after part is killed."""

    def __init__(self, pipeline: Pipeline, stack: LocalStack) -> None:
        self.pipeline = pipeline
        self.stack = stack
        self.flow = Flow(pipeline.settings)
        self.index_job = pipeline.index_job()
        self.regex_job = pipeline.regex_job()

    def in_the_middle(self, counted: Callable[[Counts], int]) -> None:
        """Come back when more was indexed since the last time, and more is on its way."""
        before = counted(self.pipeline.counts())
        self.flow.allow(before + 2 * STEP)

        def is_so() -> bool:
            assert_runs(self.index_job)
            assert_runs(self.regex_job)
            return counted(self.pipeline.counts()) >= before + STEP

        eventually(is_so, seconds=PATIENCE, every=0.05)
        self.flow.allow(self.flow.allowed + STEP)

    def finish(self) -> None:
        expected = EVENTS - sum(1 for number in range(EVENTS) if not event(number).strip())

        def is_done() -> bool:
            assert_runs(self.index_job)
            assert_runs(self.regex_job)
            counts = self.pipeline.counts()
            self.flow.allow(min(counts) + 10 * STEP)
            return min(counts) >= expected

        eventually(is_done, seconds=PATIENCE)


def test_every_event_is_indexed_once_whatever_is_killed(pipeline: Pipeline, stack: LocalStack) -> None:
    pipeline.set_up()
    settings = pipeline.settings
    run = Killing(pipeline, stack)

    run.in_the_middle(lambda counts: counts.logs)
    run.index_job.process.kill()
    run.index_job.wait()
    run.index_job = pipeline.index_job()

    for mode in ("optimized", "stream"):
        run.in_the_middle(lambda counts: counts.results)
        kill_a_busy_worker(run, spark_log(settings))

        run.in_the_middle(lambda counts: counts.results)
        members = family(run.regex_job)
        assert any("java" in member.name() for member in members)
        assert any("pyspark.daemon" in command_line(member) for member in members)
        run.regex_job.process.kill()
        assert_gone(members)
        run.regex_job = pipeline.regex_job(mode)

    run.in_the_middle(min)
    stack.kill_part("kafka")
    wait_for_output(run.index_job, "waiting for kafka")
    wait_for_output(run.regex_job, "waiting for kafka")
    stack.start("kafka")

    run.in_the_middle(min)
    stack.kill_part("elasticsearch")
    run.flow.allow(run.flow.sent + 500)
    wait_for_output(run.index_job, "waiting for elasticsearch")
    wait_for_output(run.regex_job, "waiting for elasticsearch")
    stack.start("elasticsearch")

    run.finish()
    expected = {stored.id: stored.value or b"" for stored in pipeline.stored()}
    assert sorted(expected.values()) == sorted(event(number) for number in range(EVENTS))
    empty = [name for name, value in expected.items() if not value.strip()]
    dead = {(consumer, name): "empty" for name in empty for consumer in ("index", "regex")}
    eventually(lambda: len(pipeline.letters()) == len(dead), seconds=SECONDS)
    ends_well(run.index_job, run.regex_job)
    pipeline.assert_once_each(expected, dead)
    for job in pipeline.runner.jobs:
        assert_no_stack_trace(job.output)


def spark_log(settings: Settings) -> Path:
    return settings.home / "logs" / "spark-regex.log"


def kill_a_busy_worker(run: Killing, log: Path) -> None:
    """Kill workers until Spark says that it lost one in the middle of a task."""
    before = log.read_text().count("Lost task")

    def lost() -> bool:
        assert_runs(run.regex_job)
        run.flow.allow(min(run.pipeline.counts()) + 2 * STEP)
        if log.read_text().count("Lost task") > before:
            return True
        for worker in python_workers(run.regex_job)[:1]:
            worker.send_signal(signal.SIGKILL)
        return False

    eventually(lost, seconds=SECONDS, every=0.5)


@pytest.mark.parametrize("mode", ["stream", pytest.param("optimized", marks=pytest.mark.long)])
def test_a_topic_that_was_made_again_is_read_from_its_beginning(pipeline: Pipeline, mode: str) -> None:
    pipeline.set_up()
    topic = pipeline.settings.kafka.topic
    expected: dict[str, bytes | None] = {}

    def send(numbers: range) -> None:
        values = [b"INFO number %d" % number for number in numbers]
        expected.update(zip(pipeline.send(values, partition=0), values, strict=True))

    jobs = [pipeline.index_job(), pipeline.regex_job(mode)]
    send(range(500))
    pipeline.wait_for(500, 500, jobs)

    delete_topic(pipeline.settings)
    for job in jobs:
        wait_for_output(job, topic, "no such topic")
    kafka = pipeline.settings.kafka
    set_up_kafka(pipeline.settings.model_copy(update={"kafka": kafka.model_copy(update={"partitions": 2})}))
    send(range(500, 600))
    pipeline.wait_for(600, 600, jobs)
    for job in jobs:
        wait_for_output(job, topic, "the topic was deleted and made again")
    ends_well(*jobs)

    delete_topic(pipeline.settings)
    set_up_kafka(pipeline.settings)
    send(range(600, 650))
    jobs = [pipeline.index_job(), pipeline.regex_job(mode)]
    pipeline.wait_for(650, 650, jobs)
    # The index job has nothing to remember the old topic by: Kafka forgets a group's offsets with their topic.
    wait_for_output(jobs[1], topic, "the topic was deleted and made again")
    ends_well(*jobs)
    pipeline.assert_once_each(expected, {})


def delete_topic(settings: Settings) -> None:
    with closing(admin(settings, job="test")) as client:
        client.delete_topics([settings.kafka.topic])

        def is_gone() -> bool:
            try:
                describe_topic(client, settings.kafka.topic)
            except TopicNotReadyError:
                return True
            return False

        eventually(is_gone)


@pytest.fixture
def elasticsearch_settings(elasticsearch_client: Elasticsearch) -> Iterator[Callable[[Mapping[str, str | None]], None]]:
    """Sets settings of the cluster; back to what they were at the end."""
    changed: set[str] = set()

    def put(settings: Mapping[str, str | None]) -> None:
        changed.update(settings)
        elasticsearch_client.cluster.put_settings(persistent=dict(settings))

    try:
        yield put
    finally:
        elasticsearch_client.cluster.put_settings(persistent=dict.fromkeys(changed))


def test_a_full_disk_is_waited_for(
    pipeline: Pipeline, elasticsearch_settings: Callable[[Mapping[str, str | None]], None]
) -> None:
    pipeline.set_up()
    values: list[bytes | None] = [b"INFO number %d" % number for number in range(400)]
    ids = pipeline.send(values[:200])
    jobs = [pipeline.index_job(), pipeline.regex_job()]
    pipeline.wait_for(200, 200, jobs)
    # To Elasticsearch a disk with less than so much space is full: it makes all its indices read-only.
    watermarks = [f"cluster.routing.allocation.disk.watermark.{name}" for name in ("low", "high", "flood_stage")]
    elasticsearch_settings(dict.fromkeys(watermarks, "1000tb") | {"cluster.info.update.interval": "10s"})
    for alias in (pipeline.settings.logs_index, pipeline.settings.results_index):
        eventually(partial(is_read_only, pipeline.client, alias))
    ids += pipeline.send(values[200:])
    for job in jobs:
        wait_for_output(job, "waiting for elasticsearch", "read-only")
    elasticsearch_settings(dict.fromkeys(watermarks))
    pipeline.wait_for(400, 400, jobs)
    ends_well(*jobs)
    pipeline.assert_once_each(dict(zip(ids, values, strict=True)), {})


def is_read_only(client: Elasticsearch, alias: str) -> bool:
    (index,) = client.indices.get_settings(index=alias, flat_settings=True).body.values()
    return "index.blocks.read_only_allow_delete" in index["settings"]


@pytest.mark.long
def test_jobs_can_be_stopped_while_an_index_is_read_only(pipeline: Pipeline) -> None:
    pipeline.set_up()
    values: list[bytes | None] = [b"INFO number %d" % number for number in range(400)]
    ids = pipeline.send(values[:200])
    jobs = [pipeline.index_job(), pipeline.regex_job()]
    pipeline.wait_for(200, 200, jobs)
    indices = [pipeline.settings.logs_index, pipeline.settings.results_index]
    pipeline.client.indices.put_settings(index=indices, settings={"index.blocks.read_only": True})
    ids += pipeline.send(values[200:])
    for job in jobs:
        wait_for_output(job, "waiting for elasticsearch", "read-only")
    ends_well(*jobs)
    pipeline.client.indices.put_settings(index=indices, settings={"index.blocks.read_only": None})
    assert pipeline.counts() == (200, 200)
    jobs = [pipeline.index_job(), pipeline.regex_job()]
    pipeline.wait_for(400, 400, jobs)
    ends_well(*jobs)
    pipeline.assert_once_each(dict(zip(ids, values, strict=True)), {})


def test_jobs_that_are_started_first_wait_for_everything_in_turn(pipeline: Pipeline, stack: LocalStack) -> None:
    settings = pipeline.settings
    stack.stop("kafka")
    stack.stop("elasticsearch")
    jobs = [pipeline.index_job(), pipeline.regex_job()]
    for job in jobs:
        wait_for_output(job, "waiting for elasticsearch", settings.elasticsearch.hosts)
    stack.start("elasticsearch")
    for job in jobs:
        wait_for_output(job, "no index template")
    set_up_elasticsearch(settings, load_registry().fields)
    for job in jobs:
        wait_for_output(job, "waiting for kafka", settings.kafka.bootstrap_servers)
    stack.start("kafka")
    for job in jobs:
        wait_for_output(job, settings.kafka.topic, "no such topic", "logsluice setup")
    set_up_kafka(settings)
    values: list[bytes | None] = [b"INFO number %d" % number for number in range(100)]
    ids = pipeline.send(values)
    pipeline.wait_for(100, 100, jobs)
    ends_well(*jobs)
    pipeline.assert_once_each(dict(zip(ids, values, strict=True)), {})
