"""``logsluice dashboard``: serves the dashboard."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from logsluice.dashboard import server
from logsluice.dashboard.reports import read_report
from logsluice.runtime.entrypoint import ConfigOption
from logsluice.runtime.terminal import Terminal
from logsluice.settings import load_settings
from logsluice.stack.ports import check_free


def dashboard(
    reports: Annotated[
        Path | None, typer.Option(help="Show the report in this folder instead of what Elasticsearch holds.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 where left out.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port to listen on; 8501 where left out.")] = None,
    config: ConfigOption = None,
) -> None:
    """Serve a page of errors, alerts and log lines until Ctrl-C.

    It reads Elasticsearch; while that is away, the report in ./reports where there is one. It has no login: on an
    address that others reach, everybody who reaches it reads the logs.
    """
    overrides = {
        "LOGSLUICE_CONFIG": config and str(config.absolute()),
        "LOGSLUICE_DASHBOARD__REPORTS": reports and str(reports.absolute()),
        "LOGSLUICE_DASHBOARD__HOST": host,
        "LOGSLUICE_DASHBOARD__PORT": port and str(port),
    }
    os.environ.update({name: value for name, value in overrides.items() if value})
    settings = load_settings().dashboard
    if settings.reports:
        read_report(settings.reports)
    check_free(settings.port, "the dashboard", "--port")
    console = Terminal()
    console.print(f"Dashboard at {server.url(settings)}; Ctrl-C ends it")
    command = server.command(settings)
    # In place of this process, so that signals and the exit code are the server's own.
    os.execv(command[0], command)
