"""A process that listens: checks that it may, and serves until SIGTERM or Ctrl-C."""

from __future__ import annotations

import gc
import ipaddress
import logging
import signal
import socket
from typing import Final

import structlog
import uvicorn

from logsluice.api.application import create_app
from logsluice.api.protocol import bounded
from logsluice.api.resources import Resources
from logsluice.errors import LogsluiceError
from logsluice.runtime.certificates import stop_on_certificate_renewal
from logsluice.settings import ApiSettings, Settings

log = structlog.get_logger(__name__)

_BACKLOG: Final = 2_048
_KEEP_ALIVE_SECONDS: Final = 60
# Requests at hand are no garbage: looking less often saves time on each.
_GARBAGE: Final = (50_000, 20, 100)


def check_exposure(settings: ApiSettings) -> None:
    """Refuse to listen beyond this machine without knowing who asks.

    Raises:
        LogsluiceError: There are neither keys nor an issuer, and the address is not loopback.
    """
    if not settings.authenticates and not is_loopback(settings.host):
        raise LogsluiceError(
            "will not listen beyond this machine without authentication",
            where=f"{settings.host}:{settings.port}",
            hint="make a key with `logsluice api-key add NAME` and name its file by LOGSLUICE_API__KEYS_FILE, "
            "or set LOGSLUICE_API__OIDC__ISSUER",
        )


def is_loopback(host: str) -> bool:
    """Whether an address (or name) reaches this machine alone."""
    try:
        addresses = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return all(ipaddress.ip_address(str(address).partition("%")[0]).is_loopback for address in addresses)


def serve(settings: Settings) -> None:
    """Serve the API until SIGTERM or Ctrl-C; requests at hand are finished first.

    Raises:
        LogsluiceError: The address is not safe to listen on or cannot be, or a setting is wrong.
    """
    api = settings.api
    check_exposure(api)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=api.host,
        port=api.port,
        loop="uvloop",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        http=bounded(api.limits),
        ws="none",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=api.shutdown_seconds,
        proxy_headers=bool(api.trusted_proxies),
        forwarded_allow_ips=list(api.trusted_proxies),
    )
    # uvicorn raises the signal again when it has ended in order, for whoever handled it before: nothing is left to do.
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    # What it logs of a request is answered to it, and of a start that fails told below.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    gc.set_threshold(*_GARBAGE)
    stop_on_certificate_renewal(settings)
    try:
        _Server(config, api).run()
    except SystemExit:
        failure: LogsluiceError | None = getattr(app.state, "failure", None)
        raise failure or LogsluiceError(
            "cannot be listened on", where=f"{api.host}:{api.port}", hint="name another by --host and --port"
        ) from None


class _Server(uvicorn.Server):
    """Says when it listens, and tells those who follow the live tail that it ends: they would be waited for."""

    def __init__(self, config: uvicorn.Config, api: ApiSettings) -> None:
        super().__init__(config)
        self._api = api

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.started:
            return
        host = f"[{self._api.host}]" if ":" in self._api.host else self._api.host
        log.info("the API listens", url=f"http://{host}:{self._api.port}", docs="/docs")
        if not self._api.authenticates:
            log.warning("no API keys: whoever reaches this address may post, read and change everything")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        resources: Resources | None = getattr(self.config.app.state, "resources", None)  # type: ignore[union-attr]
        if resources is not None:
            resources.stopping.set()
        await super().shutdown(sockets)
