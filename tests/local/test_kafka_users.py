"""Each workload at a broker with access control, as its own user: it may do all of its work, and nothing else."""

from __future__ import annotations

import os
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import pytest
from elasticsearch import Elasticsearch
from kafka.errors import KafkaError
from prometheus_client.parser import text_string_to_metric_families
from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway

from logsluice.alerts.evaluator import Evaluation
from logsluice.alerts.outputs.kafka import KafkaOutput
from logsluice.alerts.rules import ErrorCount
from logsluice.alerts.states import Detection, Episode, Key
from logsluice.alerts.store import AlertStore
from logsluice.api.ingest.lookup import EventReference, find_posted, mark
from logsluice.jvm.jars import jar_paths
from logsluice.jvm.java import system_java
from logsluice.kafka.clients import admin
from logsluice.kafka.offsets import committed_offsets, latest_offsets
from logsluice.kafka.options import spark_kafka_options
from logsluice.kafka.topics import describe_topic
from logsluice.settings import AlertSettings, MetricsSettings, Settings, load_settings
from logsluice.stack.supervisor import LocalStack
from tests.local.api_parts import serving
from tests.local.kafka_guard import Access, accesses, guarded, in_vain, make_users, users
from tests.local.pipeline import SECONDS, Pipeline, ends_well
from tests.local.running import ROOT, Runner, eventually, forget_indices, free_port

pytestmark = pytest.mark.timeout(1_200)

LINE = b'10.0.0.1 - - [22/Nov/2026:10:14:13 +0000] "GET /x HTTP/1.1" 404 10 "-" "curl"'
EVENT = b'{"@timestamp":"2026-11-22T10:14:13.123Z","message":"slow","service":{"name":"pay"}}'


class Guarded(NamedTuple):
    """A broker with access control.

    Attributes:
        stack: The broker's.
        passwords: Of every workload's user.
    """

    stack: LocalStack
    passwords: dict[str, str]


@pytest.fixture(scope="module")
def broker(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """With the topics of dev, and the users of k8s/base/kafka/users.yaml."""
    secured = LocalStack(tmp_path_factory.mktemp("guarded"), free_port(), stack.port("elasticsearch"), secure=True)
    with guarded(secured):
        with pytest.MonkeyPatch.context() as patch:
            for name, value in secured.environment().items():
                patch.setenv(name, value)
            settings = load_settings(ROOT / "config" / "dev")
        with closing(admin(settings, job="test")) as client:
            passwords = make_users(client, users())
        yield Guarded(secured, passwords)


@pytest.fixture
def settings(stack: LocalStack, broker: Guarded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of who may do everything, with topics as they are on Kubernetes."""
    stack.start("elasticsearch")
    forget_indices(f"http://127.0.0.1:{stack.port('elasticsearch')}")
    environment = broker.stack.environment() | {
        "LOGSLUICE_CONFIG": str(ROOT / "config" / "dev"),
        "LOGSLUICE_HOME": str(tmp_path / "home"),
        "LOGSLUICE_ELASTICSEARCH__RETENTION_DAYS": "30000",
    }
    for name in MetricsSettings.model_fields:
        if name != "host":
            environment[f"LOGSLUICE_METRICS__{name.upper()}"] = str(free_port())
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load_settings()


@pytest.fixture
def pipeline(settings: Settings, elasticsearch_client: Elasticsearch, runner: Runner) -> Pipeline:
    found = Pipeline(settings, elasticsearch_client, runner)
    found.set_up()
    return found


class Workload:
    """A workload at the broker, as its own user."""

    def __init__(self, broker: Guarded, pipeline: Pipeline, user: str) -> None:
        self.user = user
        self.pipeline = pipeline
        self.environment = {
            "LOGSLUICE_KAFKA__USERNAME": user,
            "LOGSLUICE_KAFKA__PASSWORD": broker.passwords[user],
        }
        self._log = broker.stack.home / "logs" / "kafka.log"
        self._since = self._log.stat().st_size

    @property
    def settings(self) -> Settings:
        """Its own."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            return load_settings()

    def accesses(self) -> tuple[set[Access], set[Access]]:
        return accesses(self._log, self.user, self._since)


def produces(workload: Workload) -> None:
    job = workload.pipeline.runner.job("producer_job", "--count", "50", "--fast", env=workload.environment)
    assert job.wait(SECONDS) == 0, job.output
    assert len(list(workload.pipeline.stored())) >= 50


def finds_facts(workload: Workload) -> None:
    """A stream, and history once, with what cannot be read in both."""
    pipeline = workload.pipeline
    pipeline.send([LINE, LINE, b""])
    job = pipeline.regex_job(env=workload.environment)
    eventually(lambda: caught_up(pipeline.settings, "logsluice-regex"), seconds=SECONDS)
    assert ("regex", "empty") in {(name, reason) for (name, _), reason in pipeline.letters().items()}
    assert pipeline.count(pipeline.settings.results_index) >= 2
    ends_well(job)
    history = pipeline.regex_job("batch", env=workload.environment)
    assert history.wait(SECONDS) == 0, history.output


def counts_windows(workload: Workload) -> None:
    pipeline = workload.pipeline
    pipeline.send([EVENT, EVENT])
    job = pipeline.runner.job("windows_job", env=workload.environment | {"LOGSLUICE_WINDOWS__TRIGGER_SECONDS": "1"})
    eventually(lambda: caught_up(pipeline.settings, "logsluice-windows"), seconds=SECONDS)
    ends_well(job)


def is_scraped(port: int, group: str) -> bool:
    return group in scraped_groups(port)


def measures(workload: Workload) -> None:
    pipeline = workload.pipeline
    pipeline.send([LINE])
    job = pipeline.runner.job("metrics_job", env=workload.environment)
    eventually(lambda: caught_up(pipeline.settings, "logsluice-app-service"), seconds=SECONDS)
    port = pipeline.settings.metrics.app_service
    for group in ("logsluice-app-service", "logsluice-regex", "logsluice-index", "logsluice-windows"):
        eventually(partial(is_scraped, port, group))
    ends_well(job)


def scraped_groups(port: int) -> set[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return {sample.labels["group"] for family in families for sample in family.samples if "group" in sample.labels}


def sends_alerts(workload: Workload) -> None:
    rule = ErrorCount(name="errors", kind="error_count", severity="critical", description="Too many errors")
    episode = Episode(29_000_160, 29_000_163, Detection(120, 100, "pay: 120 errors, more than 100"), None)
    evaluation = Evaluation(rule, Key(rule.name, "pay", None), episode, "opened")
    (notification,) = AlertStore(["kafka"], AlertSettings().link).apply([evaluation])
    with closing(KafkaOutput(workload.settings, job="alerts", stop=Event())) as output:
        output.notify(notification)


def takes_events_and_finds_them_again(workload: Workload) -> None:
    pipeline = workload.pipeline
    with serving(pipeline.runner, **workload.environment) as api:
        assert api.client.get("/health").json()["parts"]["kafka"]["status"] == "up"
        assert api.client.post("/logs", json={"message": "hello"}).status_code == 201
    post = uuid.uuid4().hex
    (event,) = pipeline.send([EVENT], headers=[mark(post, 0)])
    until = round((time.time() + 60) * 1_000)
    found = find_posted(workload.settings, {post}, {}, until, 30)
    assert set(found) == {EventReference(post, 0)}
    assert event.endswith(f"-{found[EventReference(post, 0)].timestamp_ms}")


def ships_as_logstash(workload: Workload) -> None:
    """What logstash-integration-kafka 12.1 does with Kafka's own client: ``lib/logstash/inputs/kafka.rb`` subscribes
    with its group and commits by itself, ``lib/logstash/outputs/kafka.rb`` sends with all acknowledgements.
    """
    settings = workload.settings
    options = {key.removeprefix("kafka."): value for key, value in spark_kafka_options(settings).items()}
    workload.pipeline.send([EVENT])
    with java() as gateway:
        clients = gateway.jvm.org.apache.kafka.clients
        text = "org.apache.kafka.common.serialization.String"
        sender = clients.producer.KafkaProducer(
            properties(
                gateway,
                options
                | {"acks": "all", "key.serializer": f"{text}Serializer"}
                | {"value.serializer": f"{text}Serializer"},
            )
        )
        for topic in (settings.kafka.topic, settings.kafka.dead_letter_topic):
            sender.send(clients.producer.ProducerRecord(topic, "hello")).get()
        sender.close()
        for topic, group in (
            (settings.kafka.topic, "logsluice-index"),
            (settings.kafka.dead_letter_topic, "logsluice-index-dead-letters"),
        ):
            reader = clients.consumer.KafkaConsumer(
                properties(
                    gateway,
                    options
                    | {"group.id": group, "auto.offset.reset": "earliest"}
                    | {"key.deserializer": f"{text}Deserializer", "value.deserializer": f"{text}Deserializer"}
                    | {"auto.commit.interval.ms": "500"},
                )
            )
            topics = gateway.jvm.java.util.ArrayList()
            topics.add(topic)
            reader.subscribe(topics)

            def polled(reader: Any = reader) -> bool:
                return bool(reader.poll(gateway.jvm.java.time.Duration.ofMillis(500)).count())

            eventually(polled)
            reader.close()
            assert is_committed(workload.pipeline.settings, group, topic)


WORKLOADS: dict[str, Callable[[Workload], None]] = {
    "producer": produces,
    "regex-job": finds_facts,
    "windows-job": counts_windows,
    "logstash": ships_as_logstash,
    "app-service": measures,
    "alerts-job": sends_alerts,
    "api": takes_events_and_finds_them_again,
}


def test_every_user_is_that_of_a_workload() -> None:
    assert set(users()) == set(WORKLOADS)


@pytest.mark.parametrize("user", WORKLOADS)
def test_a_workload_may_do_all_of_its_work_and_nothing_else(user: str, broker: Guarded, pipeline: Pipeline) -> None:
    workload = Workload(broker, pipeline, user)
    try:
        WORKLOADS[user](workload)
    finally:
        allowed, denied = workload.accesses()
        print(sorted(allowed), sorted(denied), sep="\n")
    assert denied == set()
    assert in_vain(users()[user], allowed) == []


@contextmanager
def java() -> Iterator[JavaGateway]:
    """A Java machine with Kafka's own client."""
    classpath = os.pathsep.join(map(str, jar_paths("kafka")))
    port = launch_gateway(classpath=classpath, java_path=str(system_java().path), die_on_exit=True)
    gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port, auto_convert=True))
    try:
        yield gateway
    finally:
        gateway.shutdown()


def properties(gateway: JavaGateway, options: Mapping[str, str]) -> Any:
    found = gateway.jvm.java.util.Properties()
    for key, value in options.items():
        found.setProperty(key, value)
    return found


def caught_up(settings: Settings, group: str) -> bool:
    with closing(admin(settings, job="test")) as client:
        topic = describe_topic(client, settings.kafka.topic)
        ends = latest_offsets(client, topic)
        try:
            commits = committed_offsets(client, group, topic)
        except KafkaError:
            # Who first asks for a group has to wait until Kafka has made its own topic of offsets.
            return False
        return {number: entry.offset for number, entry in commits.items() if ends[number]} == {
            number: end for number, end in ends.items() if end
        }


def is_committed(settings: Settings, group: str, topic: str) -> bool:
    with closing(admin(settings, job="test")) as client:
        return bool(committed_offsets(client, group, describe_topic(client, topic)))
