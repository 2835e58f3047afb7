"""``logsluice setup``: creates topics, index templates, retention and Kibana's saved objects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from logsluice.extract import load_registry
from logsluice.provision.setup import run_setup
from logsluice.runtime.retry import StoppedError, stop_on_signals
from logsluice.runtime.terminal import Terminal
from logsluice.settings import config_dir, load_settings


def setup(
    config: Annotated[
        Path | None, typer.Option("--config", help="Folder of the environment, such as config/dev.")
    ] = None,
    skip_topics: Annotated[
        bool, typer.Option("--skip-topics", help="Leave the topics to somebody else, as to Strimzi on Kubernetes.")
    ] = False,
) -> None:
    """Make topics, index templates and Kibana's saved objects, or bring them up to date; safe to run again.

    Waits for Kafka, Elasticsearch and Kibana (where kibana.host names one) while they are not up yet.
    """
    directory = config or config_dir()
    settings = load_settings(directory)
    try:
        changes = run_setup(settings, load_registry(directory).fields, topics=not skip_topics, stop=stop_on_signals())
    except StoppedError:
        raise typer.Exit(130) from None
    console = Terminal(soft_wrap=True)
    for line in changes:
        console.print(line)
    console.print("Everything is set up.")
