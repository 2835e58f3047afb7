"""Puts the commands together; a user's mistake ends in one line, not in a stack trace."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from logsluice import __version__
from logsluice.errors import LogsluiceError

app = typer.Typer(
    name="logsluice",
    help="Regex-driven log analytics: Kafka, Spark, Elasticsearch.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run the command line; exits with 1 on a user's mistake and 130 on Ctrl-C."""
    try:
        app()
    except LogsluiceError as error:
        Console(stderr=True, highlight=False).print(f"[red]logsluice:[/] {error}", markup=True, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
