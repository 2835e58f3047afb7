"""Configuration and command line of the local Kafka: one KRaft node, broker and controller in one process."""

from __future__ import annotations

import os
import secrets
import subprocess
import uuid
from base64 import urlsafe_b64encode
from contextlib import closing
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from logsluice.errors import LogsluiceError
from logsluice.jvm.jars import jar_paths
from logsluice.jvm.java import system_java
from logsluice.kafka.kafka_python import connect
from logsluice.runtime.private_files import write_private
from logsluice.stack.ports import HOST
from logsluice.stack.properties import log_to, render
from logsluice.stack.tls import make_certificates

USER = "logsluice"
"""The one user that a secured broker knows."""

_PROBE_MS = 5_000


class Files:
    """Where the broker's things lie below the local stack's home.

    Attributes:
        root: Everything of the broker but its logs and its password.
        properties: The broker's configuration, written at each start.
        certificates: The certificate authority and the broker's own key.
        authority: What clients of a secured broker have to trust.
        password: The password of :data:`USER`, readable by its owner alone.
    """

    def __init__(self, home: Path) -> None:
        self.root = home / "kafka"
        self.data = self.root / "data"
        self.properties = self.root / "server.properties"
        self.certificates = self.root / "tls"
        self.authority = self.certificates / "ca.pem"
        self.password = home / "run" / "kafka.password"


def server_properties(files: Files, port: int, controller_port: int, *, secure: bool) -> dict[str, str]:
    """The broker's configuration."""
    clients = "SASL_SSL" if secure else "PLAINTEXT"
    properties = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"CLIENTS://127.0.0.1:{port}",
        "listener.security.protocol.map": f"CLIENTS:{clients},CONTROLLER:{'SSL' if secure else 'PLAINTEXT'}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "CLIENTS",
        "log.dirs": str(files.data),
        "auto.create.topics.enable": "false",
        # There is nobody to replicate to.
        "default.replication.factor": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "4",
        # A group of one machine need not wait for members to trickle in.
        "group.initial.rebalance.delay.ms": "0",
        # The defaults are made for heaps of gigabytes.
        "log.cleaner.dedupe.buffer.size": str(8 * 1024 * 1024),
        "num.network.threads": "2",
        "num.io.threads": "4",
    }
    if secure:
        properties |= {
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
            "listener.name.clients.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required "
                f'username="{USER}" password="{files.password.read_text()}";'
            ),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(files.certificates / "broker.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(files.authority),
            # Who could talk to the controller could make users: only the broker's own certificate may.
            "listener.name.controller.ssl.client.auth": "required",
        }
    return properties


def command(home: Path, port: int, controller_port: int, heap: str, *, secure: bool) -> list[str]:
    """Lay the broker out below ``home/kafka``, its storage formatted, and give the command that runs it.

    Raises:
        LogsluiceError: Java or a jar could not be had, the storage could not be formatted, or the password of a
            secured broker is gone.
    """
    files = Files(home)
    jars = jar_paths("kafka")
    java = str(system_java().path)
    for folder in (files.data, home / "logs", files.password.parent):
        folder.mkdir(parents=True, exist_ok=True)
    (files.root / "log4j2.properties").write_text(log_to(home / "logs", "kafka"))
    formatted = (files.data / "meta.properties").exists()
    if secure and formatted and not files.password.exists():
        raise LogsluiceError(
            "the broker's password is gone",
            where=str(files.password),
            hint="put it back, or start over without the data: logsluice down --data",
        )
    if not files.password.exists():
        write_private(files.password, secrets.token_urlsafe(24))
    if secure and not files.authority.exists():
        make_certificates(files.certificates)
    properties = server_properties(files, port, controller_port, secure=secure)
    write_private(files.properties, render(properties))
    classpath = os.pathsep.join(map(str, jars))
    if not formatted:
        _format(java, classpath, files)
    return [
        java,
        "-Xms64m",
        f"-Xmx{heap}",
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        f"-XX:ErrorFile={home / 'logs' / 'kafka-crash-%p.log'}",
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={files.root / 'log4j2.properties'}",
        "-cp",
        classpath,
        "kafka.Kafka",
        str(files.properties),
    ]


def _format(java: str, classpath: str, files: Files) -> None:
    """Make an empty storage that knows :data:`USER`, so that the same data can be served secured and not."""
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    scram = f"SCRAM-SHA-512=[name={USER},password={files.password.read_text()}]"
    arguments = files.root / "format.args"
    # In a file of arguments the password does not show in the machine's list of processes. The equals sign
    # is for an id that begins with a hyphen.
    write_private(
        arguments,
        f'-XX:TieredStopAtLevel=1 -cp "{classpath}" kafka.tools.StorageTool format '
        f'--ignore-formatted --cluster-id={cluster} --config "{files.properties}" --add-scram "{scram}"\n',
    )
    try:
        result = subprocess.run([java, f"@{arguments}"], capture_output=True, text=True, errors="replace", check=False)
    finally:
        arguments.unlink()
    if result.returncode != 0:
        faults = [
            line for line in (result.stderr + result.stdout).splitlines() if "Exception" in line or "rror" in line
        ]
        raise LogsluiceError(
            "Kafka's storage could not be formatted", where=str(files.data), why=faults[0] if faults else None
        )


def client_options(home: Path, port: int, *, secure: bool) -> dict[str, Any]:
    """How a kafka-python client reaches the broker."""
    options: dict[str, Any] = {"bootstrap_servers": f"{HOST}:{port}"}
    if secure:
        files = Files(home)
        options |= {
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": USER,
            "sasl_plain_password": files.password.read_text(),
            "ssl_cafile": str(files.authority),
        }
    return options


def answers(home: Path, port: int, *, secure: bool) -> bool:
    """Whether the broker lets a client in and says that it is part of its cluster."""
    if secure and not Files(home).password.exists():
        return False
    options = client_options(home, port, secure=secure) | {"bootstrap_timeout_ms": _PROBE_MS}
    try:
        with closing(connect(KafkaAdminClient, **options)) as client:
            return any(not broker["is_fenced"] for broker in client.describe_cluster()["brokers"])
    except (KafkaError, OSError):
        return False
