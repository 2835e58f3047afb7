"""The windows job: counts the topic's events in one-minute windows by service."""

from __future__ import annotations

from typing import Annotated

import typer

from logsluice.jobs.windows.job import run_windows
from logsluice.runtime.entrypoint import ConfigOption, MetricsPortOption, run_job, start_job


def main(
    until_caught_up: Annotated[bool, typer.Option(help="End when everything is read and closed.")] = False,
    config: ConfigOption = None,
    metrics_port: MetricsPortOption = None,
) -> None:
    """Count the topic's events in windows, until SIGTERM or Ctrl-C."""
    job = start_job(config)
    run_windows(job.settings, job.directory, stop=job.stop, until_caught_up=until_caught_up, metrics_port=metrics_port)


if __name__ == "__main__":
    run_job(main)
