"""The start of a job: its logging, arguments, settings, metrics and signals, and one line for a user's mistake."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Annotated, NamedTuple, TypeAlias

import structlog
import typer

from logsluice.errors import LogsluiceError
from logsluice.runtime.certificates import stop_on_certificate_renewal
from logsluice.runtime.logging import configure_logging
from logsluice.runtime.metrics import serve_metrics
from logsluice.runtime.retry import stop_on_signals
from logsluice.settings import MetricsSettings, Settings, config_dir, load_settings

ConfigOption: TypeAlias = Annotated[Path | None, typer.Option(help="Folder of the environment.")]
MetricsPortOption: TypeAlias = Annotated[int | None, typer.Option(help="Where /metrics is served.")]


class JobContext(NamedTuple):
    """What a job works with.

    Attributes:
        stop: Set by SIGTERM and Ctrl-C.
    """

    settings: Settings
    directory: Path
    stop: Event


def start_job(
    config: Path | None, metrics_port: Callable[[MetricsSettings], int] | None = None, *, restartable: bool = True
) -> JobContext:
    """Read a job's settings, and set up what every job has.

    Args:
        config: The environment's folder; that of the environment variables where left out.
        metrics_port: Where ``/metrics`` is served from now on; where left out, the job serves it itself.
        restartable: Whether the job ends when a certificate was renewed, to be started again with the new one.

    Raises:
        LogsluiceError: The settings are wrong, or the port is taken.
    """
    stop = stop_on_signals()
    settings = load_settings(config)
    if metrics_port is not None:
        serve_metrics(settings.metrics.host, metrics_port(settings.metrics))
    if restartable:
        stop_on_certificate_renewal(settings)
    return JobContext(settings, config or config_dir(), stop)


def run_job(main: Callable[..., None]) -> None:
    """Run a job's main function with the arguments of the command line.

    Exits with 1 on a user's mistake, said in one line of the job's log, and with 130 on Ctrl-C.
    """
    configure_logging()
    try:
        typer.run(main)
    except LogsluiceError as error:
        structlog.get_logger(main.__module__).error(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
