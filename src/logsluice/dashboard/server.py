"""The command line that serves the page, and its URL."""

from __future__ import annotations

import sys
from contextlib import suppress
from ipaddress import ip_address
from typing import Final

from logsluice.settings import DashboardSettings

HEALTH: Final = "/_stcore/health"

_OPTIONS: Final = {
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.runOnSave": "false",
    "server.enableCORS": "true",
    "server.enableXsrfProtection": "true",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "viewer",
    "client.showErrorDetails": "none",
    "logger.hideWelcomeMessage": "true",
    "theme.baseFontSize": "15",
    "theme.metricValueFontSize": "1.55rem",
    "theme.light.primaryColor": "#0b7285",
    "theme.light.backgroundColor": "#ffffff",
    "theme.light.secondaryBackgroundColor": "#f3f6f8",
    "theme.light.textColor": "#1b2733",
    "theme.dark.primaryColor": "#4dabc9",
    "theme.dark.backgroundColor": "#10161c",
    "theme.dark.secondaryBackgroundColor": "#1a222b",
    "theme.dark.textColor": "#dbe2e8",
}


def command(settings: DashboardSettings) -> list[str]:
    """The command line that serves the page until it is told to end.

    It has the environment's settings from the environment variables, like every other part.
    """
    options = _OPTIONS | {"server.address": settings.host, "server.port": str(settings.port)}
    return [sys.executable, "-m", "logsluice.dashboard", *(f"--{name}={value}" for name, value in options.items())]


def url(settings: DashboardSettings) -> str:
    """Where a browser on this machine finds the page."""
    return local_url(settings.host, settings.port)


def local_url(host: str, port: int) -> str:
    """Where this machine finds a server that listens at an address, or at all of them."""
    with suppress(ValueError):
        if ip_address(host).is_unspecified:
            host = "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
