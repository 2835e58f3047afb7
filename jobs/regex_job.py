"""The regex job: extracts fields from the topic's events and indexes them, as they come or out of what is stored."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from logsluice.jobs.regex.job import run_regex
from logsluice.runtime.certificates import stop_on_certificate_renewal
from logsluice.runtime.entrypoint import ConfigOption, MetricsPortOption, run_job, start_job
from logsluice.runtime.time_expressions import parse_moment


class Mode(StrEnum):
    """How to work."""

    STREAM = "stream"
    OPTIMIZED = "optimized"
    BATCH = "batch"


class Source(StrEnum):
    """Where ``batch`` reads."""

    KAFKA = "kafka"
    LOGS = "logs"


def main(
    mode: Annotated[Mode | None, typer.Option(help="PROCESSING_MODE where left out.")] = None,
    source: Annotated[Source, typer.Option(help="What batch reads: topic or logs index.")] = Source.KAFKA,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="For batch: events appended since then: 24h, 7d, or a UTC time.")
    ] = None,
    until_caught_up: Annotated[bool, typer.Option(help="End when everything was read.")] = False,
    config: ConfigOption = None,
    metrics_port: MetricsPortOption = None,
) -> None:
    """Find the facts in the topic's events and index them, until SIGTERM or Ctrl-C."""
    job = start_job(config, restartable=False)
    if (mode or job.settings.processing_mode) != Mode.BATCH:
        # History that ends half-way would pass for done.
        stop_on_certificate_renewal(job.settings)
    run_regex(
        job.settings,
        job.directory,
        stop=job.stop,
        mode=mode.value if mode else None,
        source=source.value,
        since=parse_moment(since) if since else None,
        until_caught_up=until_caught_up,
        metrics_port=metrics_port,
    )


if __name__ == "__main__":
    run_job(main)
