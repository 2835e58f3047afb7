"""The API and a Redis as processes of a test."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from redis import Redis
from redis.exceptions import RedisError

from tests.local.running import LOGSLUICE, Job, Runner, eventually, free_port


@dataclass
class Api:
    """An API that listens, and a client for it."""

    runner: Runner
    port: int
    environment: Mapping[str, str]
    job: Job
    client: httpx.Client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def restart(self) -> None:
        """Start it anew on the same port, however it ended."""
        self.job.kill()
        self.job = _started(self.runner, self.environment, self.client)


@contextmanager
def serving(runner: Runner, port: int | None = None, /, **variables: str) -> Iterator[Api]:
    """``logsluice api`` on a free port.

    Args:
        runner: Starts it with the environment of the test.
        port: A port that was found free.
        variables: Further environment variables.
    """
    port = port or free_port()
    environment = {"LOGSLUICE_API__PORT": str(port), **variables}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        job = _started(runner, environment, client)
        api = Api(runner, port, environment, job, client)
        try:
            yield api
        finally:
            api.job.kill()


def _started(runner: Runner, environment: Mapping[str, str], client: httpx.Client) -> Job:
    job = runner.start(LOGSLUICE, "api", env=environment)

    def alive() -> bool:
        assert job.process.poll() is None, job.output
        try:
            return client.get("/health/live").status_code == 200
        except httpx.TransportError:
            return False

    eventually(alive)
    return job


@dataclass
class RedisServer:
    """Debian's Redis on a port of its own, which keeps on disk what it acknowledges where it is ``durable``;
    ``options`` of its configuration come last.
    """

    folder: Path
    durable: bool = False
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, or start it again after a kill, and come back when it answers."""
        command = [
            "redis-server",
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(self.folder),
        ]
        if self.durable:
            command += ["--appendonly", "yes", "--appendfsync", "always"]
        self.process = subprocess.Popen(
            [*command, *self.options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )
        with Redis.from_url(self.url) as client:

            def answers() -> bool:
                try:
                    return bool(client.ping())
                except RedisError:
                    return False

            eventually(answers)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self.process is not None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            self.process = None
