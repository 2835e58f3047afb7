"""``logsluice up``, ``status`` and ``down``: Kafka and Elasticsearch on this machine, with no Docker."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal
from rich.table import Column, Table
from rich.text import Text

from logsluice.errors import LogsluiceError
from logsluice.runtime.terminal import Terminal, printable
from logsluice.settings import Settings, load_settings
from logsluice.stack.ports import local_port
from logsluice.stack.supervisor import SCHEMA_REGISTRY_PORT, LocalStack, PartStatus

_STYLES = {"ready": "green", "not answering": "yellow", "died": "red", "stopped": "dim"}
_NOT_READY = 3
_WATCH_SECONDS = 0.5
_PIPE_WIDTH = 400

KafkaPort = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Port of the broker.", show_default="from the settings")
]
ElasticsearchPort = Annotated[
    int | None,
    typer.Option(min=1, max=65535, help="Port of Elasticsearch.", show_default="from the settings"),
]
SchemaRegistryPort = Annotated[
    int | None,
    typer.Option(min=1, max=65535, help="Port of the schema registry.", show_default="from the settings, or 8088"),
]
KafkaHeap = Annotated[str, typer.Option(metavar="SIZE", help="Heap of the broker's Java.")]
ElasticsearchHeap = Annotated[str, typer.Option(metavar="SIZE", help="Heap of Elasticsearch's Java.")]


def up(
    secure: Annotated[
        bool | None,
        typer.Option(
            "--secure/--no-secure",
            help="A broker with TLS and SCRAM credentials.",
            show_default="as kafka.security_protocol says",
        ),
    ] = None,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay, and stop everything on Ctrl-C.")] = False,
    with_schema_registry: Annotated[
        bool, typer.Option("--with-schema-registry", help="A schema registry too: 155 MB more on the first time.")
    ] = False,
    kafka_port: KafkaPort = None,
    elasticsearch_port: ElasticsearchPort = None,
    schema_registry_port: SchemaRegistryPort = None,
    kafka_heap: KafkaHeap = "256m",
    elasticsearch_heap: ElasticsearchHeap = "512m",
) -> None:
    """Start Kafka and Elasticsearch on this machine and come back when they answer; they keep running."""
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.default_int_handler)
    console = _console(stderr=True)
    settings = load_settings()
    stack = LocalStack(
        settings.home,
        kafka_port or _port(settings.kafka.bootstrap_servers, "kafka.bootstrap_servers", 9092),
        elasticsearch_port or _port(settings.elasticsearch.hosts, "elasticsearch.hosts", 9200),
        (schema_registry_port or _schema_registry_port(settings)) if with_schema_registry else None,
        secure=settings.kafka.security_protocol == "SASL_SSL" if secure is None else secure,
        kafka_heap=kafka_heap,
        elasticsearch_heap=elasticsearch_heap,
        report=console.print,
    )
    stack.fetch()
    with console.status("waiting until they answer"):
        stack.start()
    console.print(_table(stack.status()))
    if not _leads_to(settings, stack):
        file = os.path.relpath(stack.environment_file)
        pointer = Text("the settings lead elsewhere; in every shell that is to use this stack: ")
        console.print(pointer + Text(f". {file}", "bold"), soft_wrap=True)
    if foreground:
        _stay(stack, console)
    else:
        console.print(Text("they keep running; to stop them: ") + Text("logsluice down", "bold"))


def status(
    cluster: Annotated[
        bool, typer.Option("--cluster", help="What runs on the Kubernetes cluster of the kubeconfig instead.")
    ] = False,
    namespace: Annotated[
        str | None, typer.Option(help="With --cluster: where logsluice lives.", show_default="logsluice")
    ] = None,
    context: Annotated[
        str | None, typer.Option(help="With --cluster: context of the kubeconfig.", show_default="the current one")
    ] = None,
) -> None:
    """Show the parts of the local stack or of a cluster; exits with 3 where one of them is not ready."""
    if cluster:
        _show_cluster(namespace, context)
        return
    parts = LocalStack(load_settings().home).status()
    _console().print(_table(parts))
    if any(part.state != "ready" for part in parts):
        raise typer.Exit(_NOT_READY)


def down(
    data: Annotated[
        bool, typer.Option("--data", "--volumes", help="Delete the topics and indices of this machine too.")
    ] = False,
) -> None:
    """Stop what ``up`` started; the data stays for the next time."""
    console = _console(stderr=True)
    stack = LocalStack(load_settings().home, report=console.print)
    stack.stop()
    if data:
        stack.remove_data()
        console.print(f"deleted what they had stored in {stack.home}")
    console.print("nothing runs")


def _show_cluster(namespace: str | None, context: str | None) -> None:
    # The client of Kubernetes takes a second to import; the local stack does not need it.
    from logsluice.kubernetes.access import NAMESPACE, SPARK_NAMESPACE, cluster_client
    from logsluice.kubernetes.overview import workloads

    namespaces = [namespace] if namespace else [NAMESPACE, SPARK_NAMESPACE]
    with cluster_client(context) as api:
        found = [workload for each in namespaces for workload in workloads(api, namespace=each)]
    if not found:
        raise LogsluiceError(
            "nothing of logsluice runs there",
            where=" and ".join(namespaces),
            hint="deploy it: kubectl apply -k k8s/overlays/dev",
        )
    table = Table("kind", "name", "state")
    for workload in found:
        state = Text(printable(workload.detail), "green" if workload.ready else "yellow")
        table.add_row(workload.kind, workload.name, state)
    _console().print(table)
    if not all(workload.ready for workload in found):
        raise typer.Exit(_NOT_READY)


def _console(*, stderr: bool = False) -> Terminal:
    """A console that does not fold what goes to a file or a pipe."""
    console = Terminal(stderr=stderr)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    return console


def _port(address: str, setting: str, default: int) -> int:
    port = local_port(address, default)
    if port is None:
        raise LogsluiceError(
            "is not on this machine",
            where=address,
            why=f"that is what {setting} names",
            hint="give the port by its option (--kafka-port, ...) to start a stack here all the same",
        )
    return port


def _schema_registry_port(settings: Settings) -> int:
    url = settings.schema_registry.url
    return SCHEMA_REGISTRY_PORT if url is None else _port(url, "schema_registry.url", SCHEMA_REGISTRY_PORT)


def _leads_to(settings: Settings, stack: LocalStack) -> bool:
    variables = stack.environment()
    kafka = settings.kafka
    password = kafka.password.get_secret_value() if kafka.password else None
    return (
        local_port(kafka.bootstrap_servers, 9092) == stack.port("kafka")
        and local_port(settings.elasticsearch.hosts, 9200) == stack.port("elasticsearch")
        and ("schema-registry" not in stack.parts or _registry_is(settings, stack.port("schema-registry")))
        and (kafka.security_protocol == "SASL_SSL") == stack.secure
        and (not stack.secure or password == variables["LOGSLUICE_KAFKA__PASSWORD"])
    )


def _registry_is(settings: Settings, port: int) -> bool:
    url = settings.schema_registry.url
    return url is not None and local_port(url, SCHEMA_REGISTRY_PORT) == port


def _stay(stack: LocalStack, console: Terminal) -> None:
    console.print("Ctrl-C stops them")
    try:
        while not (dead := next((part for part in stack.parts if stack.pid(part) is None), None)):
            time.sleep(_WATCH_SECONDS)
        raise LogsluiceError("ended by itself", where=dead, hint=f"see {stack.home / 'logs' / dead}.log")
    except KeyboardInterrupt:
        pass
    finally:
        stack.stop()


def _table(parts: list[PartStatus]) -> Table:
    table = Table("part", "state", "process", "port", "memory", Column("data", overflow="fold"))
    for part in parts:
        table.add_row(
            part.part,
            Text(part.state, _STYLES[part.state]),
            str(part.pid or ""),
            str(part.port),
            decimal(part.memory) if part.memory else "",
            _short(part.data),
        )
    return table


def _short(path: Path) -> str:
    short = os.path.relpath(path)
    return str(path) if short.startswith("..") else short
