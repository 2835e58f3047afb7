"""Puts the commands together; a user's mistake ends in one line, not in a stack trace."""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.text import Text

from logsluice import __version__
from logsluice.cli import dlq, patterns
from logsluice.cli.demo import demo
from logsluice.cli.extract import extract
from logsluice.cli.search import search
from logsluice.cli.setup import setup
from logsluice.cli.ship import ship
from logsluice.cli.stack import down, status, up
from logsluice.errors import LogsluiceError
from logsluice.logging import configure_logging

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


app.command()(demo)
app.command()(extract)
app.command()(ship)
app.command()(search)
app.add_typer(patterns.app, name="patterns")
app.add_typer(dlq.app, name="dlq")
app.command()(up)
app.command()(status)
app.command()(down)
app.command()(setup)


def main() -> None:
    """Run the command line; exits with 1 on a user's mistake and 130 on Ctrl-C."""
    configure_logging()
    try:
        app()
    except LogsluiceError as error:
        Console(stderr=True, highlight=False).print(Text("logsluice: ", "red") + Text(str(error)), soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
