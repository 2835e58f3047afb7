"""Local TCP ports: which are free, and which process holds the others."""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
from urllib.parse import urlsplit

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


def answers_ok(port: int, path: str) -> bool:
    """Whether a server on this machine answers a request for a path with 200."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def free_port() -> int:
    """A port that nobody listens on at the moment.

    It lies below those that systems give to outgoing connections (from 32768 on Linux, 49152 elsewhere): a
    client that keeps asking for a server that is down could otherwise be given the very port, and hold it.
    """
    ports = random.sample(range(20_000, 32_768), 200)
    return next(port for port in ports if is_free(port))


def holder(port: int) -> str | None:
    """Who listens on a port, as ``name (process id)``; None where the system does not tell."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            here = connection.laddr
            if connection.status == psutil.CONN_LISTEN and here and here.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass
    return None


def check_free(port: int, part: str, option: str) -> None:
    """Refuse a port that is taken.

    Args:
        option: The command line's option that names another port.

    Raises:
        LogsluiceError: Something listens there, or the system lets nobody listen there.
    """
    if not is_free(port):
        owner = holder(port)
        raise LogsluiceError(
            f"port {port} is taken",
            where=part,
            why=f"by {owner}" if owner else "by a process that this user may not see",
            hint=f"stop it, or choose another port with {option}",
        )


def local_port(address: str, default: int) -> int | None:
    """The port in the address of one server (``host:port`` or a URL); None where it is not on this machine.

    Args:
        default: The port of an address that names none.
    """
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        return (parts.port or default) if parts.hostname in ("127.0.0.1", "localhost") else None
    except ValueError:
        return None
