"""The local stack itself: its servers, what is left of them when they are killed, and what a user is told."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from elasticsearch import Elasticsearch
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import KafkaError

from logsluice.errors import LogsluiceError
from logsluice.jvm.jars import jar_paths, locked, sha256
from logsluice.settings import Settings
from logsluice.stack.kafka import client_options
from logsluice.stack.ports import is_free
from logsluice.stack.supervisor import PARTS, LocalStack
from tests.local.running import LOGSLUICE, Runner, eventually, free_port


class CommandLine:
    """``logsluice up|status|down`` of one home, with ports of its own."""

    def __init__(self, runner: Runner, home: Path) -> None:
        self.kafka, self.elasticsearch = free_port(), free_port()
        self.stack = LocalStack(home, self.kafka, self.elasticsearch)
        self.runner = runner
        self.variables = self.stack.environment()

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.runner.cli(*arguments, env=self.variables)

    def pids(self) -> set[int]:
        """Every process whose command line names this home."""
        return {
            process.pid
            for process in psutil.process_iter(["cmdline"])
            if any(str(self.stack.home) in part for part in process.info["cmdline"] or ())
        }


@pytest.fixture
def logsluice(runner: Runner, tmp_path: Path) -> Iterator[CommandLine]:
    command = CommandLine(runner, tmp_path / "my lögs")
    try:
        yield command
    finally:
        command.stack.stop()


def write(port: int, values: list[bytes], **options: object) -> None:
    producer = KafkaProducer(bootstrap_servers=f"127.0.0.1:{port}", acks="all", **options)
    for value in values:
        producer.send("kept", value, partition=0)
    producer.flush()
    producer.close()


def read(port: int, **options: object) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=f"127.0.0.1:{port}", auto_offset_reset="earliest", **options)
    partition = TopicPartition("kept", 0)
    consumer.assign([partition])
    end = consumer.end_offsets([partition])[partition]
    values: list[bytes] = []
    while consumer.position(partition) < end:
        for records in consumer.poll(timeout_ms=500).values():
            values += [record.value for record in records]
    consumer.close()
    return values


def states(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line.split("│")[2].strip() for line in done.stdout.splitlines() if "│" in line]


def make_topic(port: int, **options: object) -> None:
    admin = KafkaAdminClient(bootstrap_servers=f"127.0.0.1:{port}", **options)
    admin.create_topics([NewTopic("kept", num_partitions=1, replication_factor=1)])
    admin.close()


def test_a_stack_lives_through_kills_and_goes_without_a_trace(logsluice: CommandLine) -> None:
    assert logsluice("status").returncode == 3

    # Two at once: one starts it, the other waits and finds it running.
    both = [logsluice.runner.start(LOGSLUICE, "up", env=logsluice.variables) for _ in range(2)]
    assert [up.wait(300) for up in both] == [0, 0], [up.output for up in both]
    assert "".join(up.output for up in both).count("starting kafka") == 1
    assert logsluice("status").returncode == 0
    make_topic(logsluice.kafka)
    write(logsluice.kafka, [b"one", b"two"])
    with Elasticsearch(f"http://127.0.0.1:{logsluice.elasticsearch}") as client:
        client.index(index="dev-logs-index-2026.01.01", id="1", document={"message": "kept"})

    broker, node = logsluice.stack.pid("kafka"), logsluice.stack.pid("elasticsearch")
    assert broker
    assert node
    os.kill(broker, signal.SIGSTOP)
    assert states(logsluice("status")) == ["not answering", "ready"]
    os.kill(broker, signal.SIGKILL)
    eventually(lambda: not psutil.pid_exists(broker))
    done = logsluice("status")
    assert done.returncode == 3
    assert states(done) == ["died", "ready"]

    # The holder of Elasticsearch alone is killed: its virtual machine must go with it, and free the port.
    jvm = psutil.Process(node).children()
    assert [process.name() for process in jvm] == ["java"]
    os.kill(node, signal.SIGKILL)
    eventually(lambda: not any(process.is_running() for process in jvm))

    again = logsluice("up")
    assert again.returncode == 0, again.stderr
    assert read(logsluice.kafka) == [b"one", b"two"]
    with Elasticsearch(f"http://127.0.0.1:{logsluice.elasticsearch}") as client:
        assert client.get(index="dev-logs-index-2026.01.01", id="1")["_source"] == {"message": "kept"}
    assert {path.name for path in (logsluice.stack.home / "logs").glob("*.log")} >= {
        "kafka.log",
        "elasticsearch.log",
    }

    down = logsluice("down")
    assert down.returncode == 0, down.stderr
    assert logsluice.pids() == set()
    assert is_free(logsluice.kafka)
    assert is_free(logsluice.elasticsearch)
    assert (logsluice.stack.home / "kafka").exists()
    assert logsluice("down", "--data").returncode == 0
    assert not (logsluice.stack.home / "kafka").exists()
    assert not (logsluice.stack.home / "elasticsearch").exists()


def test_elasticsearch_ends_with_its_virtual_machine(stack: LocalStack) -> None:
    stack.start()
    node = stack.pid("elasticsearch")
    assert node
    (jvm,) = psutil.Process(node).children()
    jvm.kill()
    eventually(lambda: stack.pid("elasticsearch") is None)
    assert [part.state for part in stack.status()] == ["ready", "died"]
    stack.start()
    assert [part.state for part in stack.status()] == ["ready", "ready"]


def test_a_server_without_a_record_is_found_and_ended(stack: LocalStack) -> None:
    """The record is what a killed ``up`` may not have come to write."""
    stack.start()
    lost = {part: stack.pid(part) for part in PARTS}
    for part in lost:
        (stack.home / "run" / f"{part}.json").unlink()
    stack.start()
    for part, pid in lost.items():
        assert pid
        assert stack.pid(part) not in (None, pid)
        assert not psutil.pid_exists(pid)


def test_foreground_stays_and_stops_both_on_sigterm(logsluice: CommandLine) -> None:
    job = logsluice.runner.start(LOGSLUICE, "up", "--foreground", env=logsluice.variables)
    eventually(lambda: "Ctrl-C stops them" in job.output, seconds=120)
    assert all(part.state == "ready" for part in logsluice.stack.status())
    assert job.terminate() == 0, job.output
    assert logsluice.pids() == set()


def test_a_killed_supervisor_leaves_servers_that_the_next_up_takes_over(logsluice: CommandLine) -> None:
    job = logsluice.runner.start(LOGSLUICE, "up", "--foreground", env=logsluice.variables)
    eventually(lambda: "Ctrl-C stops them" in job.output, seconds=120)
    before = [logsluice.stack.pid(part) for part in PARTS]
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    assert logsluice("up").returncode == 0
    assert [logsluice.stack.pid(part) for part in PARTS] == before


def test_an_up_that_is_stopped_half_way_leaves_nothing(logsluice: CommandLine) -> None:
    job = logsluice.runner.start(LOGSLUICE, "up", env=logsluice.variables)
    eventually(lambda: logsluice.stack.pid("elasticsearch"))
    assert job.terminate() == 130, job.output
    assert "Traceback" not in job.output
    assert logsluice.pids() == set()


def test_a_taken_port_is_named_before_anything_starts(logsluice: CommandLine) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", logsluice.elasticsearch))
        other.listen()
        done = logsluice("up")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == [
        f"logsluice: elasticsearch: port {logsluice.elasticsearch} is taken (by {psutil.Process().name()} "
        f"(process {os.getpid()})); stop it, or choose another port with --elasticsearch-port"
    ]
    assert logsluice.pids() == set()


def test_a_heap_that_java_refuses_is_told_in_one_line(logsluice: CommandLine) -> None:
    for option in ("--kafka-heap", "--elasticsearch-heap"):
        done = logsluice("up", option, "1k")
        assert done.returncode == 1
        assert "ended while it started" in done.stderr.splitlines()[-1]
        assert "maximum heap" in done.stderr.splitlines()[-1]
        assert logsluice.pids() == set()


def test_old_java_is_told_in_one_line(logsluice: CommandLine, tmp_path: Path) -> None:
    java = tmp_path / "java11" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    done = logsluice.runner.cli("up", env={**logsluice.variables, "JAVA_HOME": str(tmp_path / "java11")})
    assert done.returncode == 1
    assert "Java 11 is too old" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_secured_broker_lets_nobody_in_without_the_right_password(secure_settings: Settings) -> None:
    kafka = secure_settings.kafka
    port = int(kafka.bootstrap_servers.partition(":")[2])
    assert kafka.password
    password = kafka.password.get_secret_value()
    right = {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": kafka.username,
        "sasl_plain_password": password,
        "ssl_cafile": str(kafka.ssl_cafile),
    }
    make_topic(port, **right)
    write(port, [b"secret"], **right)
    assert read(port, **right) == [b"secret"]

    quick = {"bootstrap_timeout_ms": 3_000}
    for wrong in (
        right | {"sasl_plain_password": "guessed"},
        right | {"sasl_plain_username": "somebody"},
        {"security_protocol": "PLAINTEXT"},
        {"security_protocol": "SSL", "ssl_cafile": str(kafka.ssl_cafile)},
        {key: value for key, value in right.items() if key != "ssl_cafile"},
    ):
        with pytest.raises(KafkaError):
            KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers, **wrong, **quick)


def test_the_secrets_of_a_secured_broker_are_their_owners_alone(secure_stack: LocalStack) -> None:
    secure_stack.start("kafka")
    password = secure_stack.environment()["LOGSLUICE_KAFKA__PASSWORD"]
    assert len(password) >= 32
    pid = secure_stack.pid("kafka")
    assert pid
    assert password not in " ".join(psutil.Process(pid).cmdline())
    holding = [
        path
        for path in secure_stack.home.rglob("*")
        if path.is_file() and "data" not in path.parts and password.encode() in path.read_bytes()
    ]
    assert holding
    for path in [*holding, *secure_stack.home.rglob("broker.pem")]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    logs = [path.read_text() for path in (secure_stack.home / "logs").iterdir()]
    assert not any(password in text for text in logs)


def test_the_same_topics_can_be_served_secured_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # One cluster id in 64 begins with a hyphen, which the formatting tool took for an option.
    monkeypatch.setattr("uuid.uuid4", lambda: uuid.UUID(bytes=b"\xfb" * 16))
    home, ports = tmp_path / "home", (free_port(), free_port())
    plain, secured = LocalStack(home, *ports), LocalStack(home, *ports, secure=True)
    try:
        plain.start("kafka")
        make_topic(ports[0])
        write(ports[0], [b"kept"])
        with pytest.raises(LogsluiceError, match=f"already runs on port {ports[0]}; stop it first"):
            secured.start("kafka")
        plain.stop("kafka")
        secured.start("kafka")
        options = client_options(home, ports[0], secure=True)
        del options["bootstrap_servers"]
        assert read(ports[0], **options) == [b"kept"]
    finally:
        secured.stop()


def test_jars_are_fetched_once_by_two_at_once_and_again_when_damaged(tmp_path: Path) -> None:
    code = "from logsluice.jvm.jars import jar_paths; print(*jar_paths('spark-kafka'), sep='\\n')"
    environment = os.environ | {"LOGSLUICE_CACHE": str(tmp_path), "HOME": str(tmp_path / "home")}
    both = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=300)[0].split() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert answers[0] == answers[1]
    pinned = {jar.path: jar.sha256 for jar in locked()["spark-kafka"]}
    assert {Path(path).relative_to(tmp_path / "jars"): sha256(Path(path)) for path in answers[0]} == pinned
    # Nothing is left of the fetching, and Ivy kept nothing for itself.
    assert not (tmp_path / "jars" / ".staging").exists()
    assert not (tmp_path / "home").exists()

    damaged = Path(answers[0][0])
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert jar_paths("spark-kafka", cache=tmp_path)[0] == damaged
    assert sha256(damaged) == locked()["spark-kafka"][0].sha256


def mirror(tmp_path: Path, root: str) -> str:
    """An Ivy settings file that asks only one place."""
    settings = tmp_path / "ivysettings.xml"
    settings.write_text(
        '<ivysettings><settings defaultResolver="mine"/><property name="ivy.checksums" value="" override="true"/>'
        f'<caches defaultCacheDir="{tmp_path}/ivy" '
        'artifactPattern="files/[organisation]/[artifact]-[revision](-[classifier]).[ext]"/>'
        f'<resolvers><ibiblio name="mine" m2compatible="true" usepoms="false" root="{root}"/></resolvers>'
        "</ivysettings>"
    )
    return str(settings)


def test_a_network_that_refuses_is_one_line_with_the_jar_and_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGSLUICE_IVY_SETTINGS", mirror(tmp_path, f"http://127.0.0.1:{free_port()}/"))
    with pytest.raises(LogsluiceError) as caught:
        jar_paths("spark-kafka", cache=tmp_path / "cache")
    line = str(caught.value)
    assert locked()["spark-kafka"][0].coordinates in line
    assert "nor 3 more of 4 jars" in line
    assert "refused" in line.lower()
    assert "LOGSLUICE_IVY_SETTINGS" in line
    assert "\n" not in line
