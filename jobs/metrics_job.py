"""The app-service: lag, freshness, size of the indices, and requests counted from the events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from logsluice.app_service import run_app_service
from logsluice.certificates import end_on_renewal
from logsluice.job import run_job
from logsluice.metrics import serve_metrics
from logsluice.settings import config_dir, load_settings
from logsluice.waiting import stop_on_signals


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
