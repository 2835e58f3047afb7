"""The app-service: lag, freshness, size of the indices, and requests counted from the events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from logsluice.jobs.exporter import run_app_service
from logsluice.runtime.certificates import end_on_renewal
from logsluice.runtime.entrypoint import run_job
from logsluice.runtime.metrics import serve_metrics
from logsluice.runtime.retry import stop_on_signals
from logsluice.settings import config_dir, load_settings


def main(
    config: Annotated[Path | None, typer.Option(help="Folder of the environment.")] = None,
) -> None:
    """Serve what no single job can tell, until SIGTERM or Ctrl-C."""
    stop = stop_on_signals()
    directory = config or config_dir()
    settings = load_settings(directory)
    serve_metrics(settings.metrics.host, settings.metrics.app_service)
    end_on_renewal(settings)
    run_app_service(settings, directory, stop)


if __name__ == "__main__":
    run_job(main)
