"""``logsluice api``: the HTTP API for ingest and queries."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from logsluice.api.server import serve
from logsluice.runtime.entrypoint import ConfigOption
from logsluice.runtime.logging import configure_logging
from logsluice.settings import load_settings
from logsluice.stack.ports import check_free


def api(
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 where left out.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port to listen on; 8090 where left out.")] = None,
    config: ConfigOption = None,
) -> None:
    """Serve the HTTP API until Ctrl-C: post events, search them, follow them.

    On this machine alone it runs open until there are API keys
    (`logsluice api-key add`); on any other address it refuses to.
    """
    configure_logging()
    overrides = {"LOGSLUICE_API__HOST": host, "LOGSLUICE_API__PORT": port and str(port)}
    os.environ.update({name: value for name, value in overrides.items() if value})
    settings = load_settings(config)
    check_free(settings.api.port, "the API", "--port")
    serve(settings)
