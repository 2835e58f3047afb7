"""The command line's entry point; a user's mistake ends in one line, not in a stack trace."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Final

import typer
from rich.text import Text
from typer.core import TyperGroup

from logsluice import __version__
from logsluice.errors import LogsluiceError
from logsluice.runtime.logging import configure_logging
from logsluice.runtime.terminal import Terminal

_COMMANDS: Final = {
    "demo": "logsluice.cli.demo:demo",
    "extract": "logsluice.cli.extract:extract",
    "report": "logsluice.cli.report:report",
    "ship": "logsluice.cli.ship:ship",
    "search": "logsluice.cli.search:search",
    "dashboard": "logsluice.cli.dashboard:dashboard",
    "patterns": "logsluice.cli.patterns:app",
    "learn": "logsluice.cli.learn:learn_command",
    "dlq": "logsluice.cli.dlq:app",
    "alerts": "logsluice.cli.alerts:app",
    "api": "logsluice.cli.api:api",
    "api-key": "logsluice.cli.api_key:app",
    "up": "logsluice.cli.stack:up",
    "status": "logsluice.cli.stack:status",
    "down": "logsluice.cli.stack:down",
    "setup": "logsluice.cli.setup:setup",
    "load": "logsluice.cli.load:load",
    "schema": "logsluice.cli.schema:app",
    "submit": "logsluice.cli.submit:submit",
    "manifest": "logsluice.cli.manifest:manifest",
}


class _LazyGroup(TyperGroup):
    """Imports a command when it is asked for: Spark, Kafka and Elasticsearch take a second each to import."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*_COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, name = _COMMANDS[cmd_name].partition(":")
        target = getattr(import_module(module), name)
        if isinstance(target, typer.Typer):
            group = typer.main.get_group(target)
            group.name = cmd_name
            return group
        single = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
        single.command(cmd_name)(target)
        return typer.main.get_command(single)


app = typer.Typer(
    name="logsluice",
    cls=_LazyGroup,
    help="Regex-driven log analytics: Kafka, Spark, Elasticsearch.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _logsluice() -> None:
    """Regex-driven log analytics: Kafka, Spark, Elasticsearch."""


@app.command()
def version() -> None:
    """Print the version."""
    Terminal().print(__version__)


def main() -> None:
    """Run the command line; exits with 1 on a user's mistake and 130 on Ctrl-C."""
    configure_logging()
    try:
        app()
    except LogsluiceError as error:
        Terminal(stderr=True).print(Text("logsluice: ", "red") + Text(str(error)), soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
