"""The ``logsluice`` command."""

from logsluice.cli.main import main

__all__ = ["main"]
