"""Ports of this machine: which are free, and who holds the others."""

from __future__ import annotations

import contextlib
import socket

import psutil

from logsluice.errors import LogsluiceError

HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on a port of the loopback address now."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still being wound up is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen()
        except OSError:
            return False
    return True


def is_open(port: int) -> bool:
    """Whether somebody listens on a port of the loopback address."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def holder(port: int) -> str | None:
    """Who listens on a port, as ``name (process id)``; None where the system does not tell."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass
    return None


def check_free(port: int, part: str, option: str) -> None:
    """Refuse a port that is taken.

    Args:
        port: The port that a server is about to listen on.
        part: Which server.
        option: The command line's option that names another port.

    Raises:
        LogsluiceError: Something listens there, or the system lets nobody listen there.
    """
    if not is_free(port):
        who = holder(port)
        raise LogsluiceError(
            f"port {port} is taken",
            where=part,
            why=f"by {who}" if who else "by a process that this user may not see",
            hint=f"stop it, or choose another port with {option}",
        )
