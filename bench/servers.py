"""A broker and an Elasticsearch of the benchmark's own, in a folder that goes with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch

from logsluice.extract import load_registry
from logsluice.provision.setup import run_setup
from logsluice.settings import MetricsSettings, Settings, load_settings
from logsluice.stack.ports import free_port
from logsluice.stack.supervisor import LocalStack

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "config" / "dev"

_STOP_SECONDS = 60.0


@dataclass(frozen=True)
class Servers:
    """Where everything is.

    Attributes:
        stack: The servers.
        settings: That point to them.
        environment: The same for child processes.
        folder: For logs and whatever else is written.
        client: Of the Elasticsearch.
    """

    stack: LocalStack
    settings: Settings
    environment: Mapping[str, str]
    folder: Path
    client: Elasticsearch

    def count(self, alias: str) -> int:
        """Documents that can be searched behind an alias."""
        self.client.options(ignore_status=404).indices.refresh(index=alias)
        return int(self.client.options(ignore_status=404).count(index=alias).get("count", 0))

    def forget(self, alias: str) -> None:
        """Delete the indices behind an alias; the next write makes them anew from their template."""
        names = [name for name in self.client.indices.get(index="*", features="aliases") if name.startswith(alias)]
        if names:
            self.client.indices.delete(index=names)


@contextmanager
def servers() -> Iterator[Servers]:
    """Both servers with topics and templates, for the length of a ``with`` block."""
    with tempfile.TemporaryDirectory(prefix="logsluice-bench-") as name, ExitStack() as cleanup:
        folder = Path(name)
        stack = LocalStack(folder / "home", free_port(), free_port())
        cleanup.callback(stack.stop)
        stack.start()
        variables = stack.environment() | {
            f"LOGSLUICE_METRICS__{part.upper()}": str(free_port())
            for part in MetricsSettings.model_fields
            if part != "host"
        }
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("LOGSLUICE_")}
        cache = {key: value for key, value in os.environ.items() if key == "LOGSLUICE_CACHE"}
        environment = inherited | cache | variables | {"LOGSLUICE_CONFIG": str(CONFIG)}
        settings = _settings(environment)
        run_setup(settings, load_registry(CONFIG).fields)
        client = cleanup.enter_context(Elasticsearch(settings.elasticsearch.hosts, request_timeout=60))
        yield Servers(stack, settings, environment, folder, client)


def _settings(environment: Mapping[str, str]) -> Settings:
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        return load_settings(CONFIG)
    finally:
        os.environ.clear()
        os.environ.update(before)


class Child:
    """A process that does what it is told: a line of JSON in, a line of JSON back.

    Args:
        module: Run with ``python -m``.
        arguments: For it.
        servers: Whose environment it gets.
    """

    def __init__(self, module: str, *arguments: str, servers: Servers) -> None:
        self._log = servers.folder / f"{module}.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                env=dict(servers.environment),
                text=True,
            )

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def call(self, **request: Any) -> Any:
        """Have something done and wait for the answer."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
        answer = stdout.readline()
        if not answer:
            raise RuntimeError(f"the child ended with {self._process.wait()}: {self._log.read_text()[-2000:]}")
        return json.loads(answer)

    def close(self) -> None:
        """Let it end; it does when there is nothing more to read."""
        with self._process as process:
            if process.stdin:
                process.stdin.close()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def child(module: str, *arguments: str, servers: Servers) -> Iterator[Child]:
    """A :class:`Child` for the length of a ``with`` block."""
    process = Child(module, *arguments, servers=servers)
    try:
        yield process
    finally:
        process.close()


@contextmanager
def command(servers: Servers, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command of logsluice's, in the environment of the servers; told to stop when the block is left."""
    log = servers.folder / f"{Path(arguments[0]).stem}.log"
    with (
        log.open("ab") as output,
        subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=ROOT,
            env=dict(servers.environment),
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
            process.kill()


def requests() -> Iterator[Any]:
    """What a child is asked, a request after the other."""
    for line in sys.stdin:
        yield json.loads(line)


def answer(**result: Any) -> None:
    """What a child answers."""
    print(json.dumps(result), flush=True)


def wait_until(question: Any, *, every: float, ended: threading.Event, seconds: float = 600) -> None:
    """Ask until the answer is true.

    Raises:
        TimeoutError: It never was.
    """
    end = time.monotonic() + seconds
    while not question():
        if ended.is_set() or time.monotonic() > end:
            raise TimeoutError("what was waited for did not come")
        time.sleep(every)
