"""Counts the topic's events in one-minute windows by service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from logsluice.jobs.windows.job import run_windows
from logsluice.runtime.certificates import end_on_renewal
from logsluice.runtime.entrypoint import run_job
from logsluice.runtime.retry import stop_on_signals
from logsluice.settings import config_dir, load_settings


def main(
    until_caught_up: Annotated[bool, typer.Option(help="End when everything is read and closed.")] = False,
    config: Annotated[Path | None, typer.Option(help="Folder of the environment.")] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Where /metrics is served.")] = None,
) -> None:
    """Count the topic's events in windows, until SIGTERM or Ctrl-C."""
    settings = load_settings(config)
    end_on_renewal(settings)
    run_windows(
        settings,
        config or config_dir(),
        stop=stop_on_signals(),
        until_caught_up=until_caught_up,
        metrics_port=metrics_port,
    )


if __name__ == "__main__":
    run_job(main)
