"""``logsluice schema check|register``: the event's JSON Schema and the schema registry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from logsluice.schema_registry import SchemaRegistry, event_schema, subject_of
from logsluice.settings import load_settings

app = typer.Typer(help="The JSON Schema of the events in the topic.", no_args_is_help=True)

File = Annotated[Path | None, typer.Option(help="Another schema than the one the API checks by.")]
Config = Annotated[Path | None, typer.Option(help="Folder of the environment.")]


@app.command()
def check(file: File = None, config: Config = None) -> None:
    """Say whether events that were right by the registered schema are right by this one too; exits with 1 if not."""
    settings = load_settings(config)
    subject = subject_of(settings.kafka.topic)
    with SchemaRegistry(settings.schema_registry) as registry:
        latest = registry.latest(subject)
        registry.check(subject, event_schema(file))
    console = Console(highlight=False, soft_wrap=True)
    if latest is None:
        console.print(f"{subject}: nothing is registered yet, so any schema will do")
    else:
        console.print(f"{subject}: compatible with version {latest}")


@app.command()
def register(file: File = None, config: Config = None) -> None:
    """Register the schema for the topic, after it was checked; one that is registered already stays as it is."""
    settings = load_settings(config)
    subject = subject_of(settings.kafka.topic)
    with SchemaRegistry(settings.schema_registry) as registry:
        schema = event_schema(file)
        registry.check(subject, schema)
        registered = registry.register(subject, schema)
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{subject}: version {registered.version}, id {registered.id}")
