"""Indexes every event of the topic as it came: Logstash's part where there is no Logstash."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from logsluice.jobs.index.job import run_index_job
from logsluice.runtime.certificates import end_on_renewal
from logsluice.runtime.entrypoint import run_job
from logsluice.runtime.metrics import serve_metrics
from logsluice.runtime.retry import stop_on_signals
from logsluice.settings import load_settings


def main(
    config: Annotated[Path | None, typer.Option(help="Folder of the environment.")] = None,
) -> None:
    """Index every event of the topic as it came, until SIGTERM or Ctrl-C."""
    stop = stop_on_signals()
    settings = load_settings(config)
    serve_metrics(settings.metrics.host, settings.metrics.index)
    end_on_renewal(settings)
    run_index_job(settings, stop)


if __name__ == "__main__":
    run_job(main)
