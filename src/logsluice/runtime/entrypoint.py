"""How a job starts: logging, its arguments, and one line instead of a stack trace for a user's mistake."""

from __future__ import annotations

import sys
from collections.abc import Callable

import structlog
import typer

from logsluice.errors import LogsluiceError
from logsluice.runtime.logging import configure_logging


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
