"""Judges the windows by the rules of alerts.yaml, and tells of what opens and resolves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from logsluice.alerts.job import run_alerts_job
from logsluice.runtime.certificates import end_on_renewal
from logsluice.runtime.entrypoint import run_job
from logsluice.runtime.metrics import serve_metrics
from logsluice.runtime.retry import stop_on_signals
from logsluice.settings import config_dir, load_settings


def main(
    config: Annotated[Path | None, typer.Option(help="Folder of the environment.")] = None,
) -> None:
    """Judge the windows by the clock, until SIGTERM or Ctrl-C."""
    stop = stop_on_signals()
    directory = config or config_dir()
    settings = load_settings(directory)
    serve_metrics(settings.metrics.host, settings.metrics.alerts)
    end_on_renewal(settings)
    run_alerts_job(settings, directory, stop)


if __name__ == "__main__":
    run_job(main)
