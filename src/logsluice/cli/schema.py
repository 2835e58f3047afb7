"""``logsluice schema check|register``: the event's JSON Schema and the schema registry."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from logsluice.kafka.schema_registry import SchemaRegistry, event_schema, subject_of
from logsluice.runtime.entrypoint import ConfigOption
from logsluice.runtime.terminal import Terminal
from logsluice.settings import load_settings
from logsluice.stack import schema_registry
from logsluice.stack.ports import HOST
from logsluice.stack.supervisor import SCHEMA_REGISTRY_PORT

app = typer.Typer(help="The JSON Schema of the events in the topic.", no_args_is_help=True)

File = Annotated[Path | None, typer.Option(help="Another schema than the one the API checks by.")]


@app.command()
def check(file: File = None, config: ConfigOption = None) -> None:
    """Say whether events that were right by the registered schema are right by this one too; exits with 1 if not."""
    settings = load_settings(config)
    subject = subject_of(settings.kafka.topic)
    with closing(SchemaRegistry(settings.schema_registry)) as registry:
        latest = registry.latest(subject)
        registry.check(subject, event_schema(file))
    console = Terminal(soft_wrap=True)
    if latest is None:
        console.print(f"{subject}: nothing is registered yet, so any schema will do")
    else:
        console.print(f"{subject}: compatible with version {latest}")


@app.command()
def register(file: File = None, config: ConfigOption = None) -> None:
    """Register the schema for the topic, after it was checked; one that is registered already stays as it is."""
    settings = load_settings(config)
    subject = subject_of(settings.kafka.topic)
    with closing(SchemaRegistry(settings.schema_registry)) as registry:
        schema = event_schema(file)
        registry.check(subject, schema)
        registered = registry.register(subject, schema)
    console = Terminal(soft_wrap=True)
    console.print(f"{subject}: version {registered.version}, id {registered.id}")


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = HOST,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = SCHEMA_REGISTRY_PORT,
    heap: Annotated[str, typer.Option(metavar="SIZE", help="Heap of its Java.")] = "256m",
    home: Annotated[Path, typer.Option(envvar="LOGSLUICE_HOME", help="Folder that its schemas are kept below.")] = Path(
        ".logsluice"
    ),
) -> None:
    """Be a schema registry until SIGTERM, as containers run it; it has no login.

    On this machine `logsluice up --with-schema-registry` starts one and keeps it running.
    """
    command = schema_registry.command(home.absolute(), port, heap, host=host, log_to_file=False)
    # In place of this process, so that signals and the exit code are the server's own.
    os.execv(command[0], command)
