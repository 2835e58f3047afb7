"""The HTTP API as a process of a benchmark, with limits that it does not reach."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from bench.servers import ROOT, Servers
from logsluice.stack.ports import free_port

_START_SECONDS = 120.0
_UNLIMITED = {
    "LOGSLUICE_API__LIMITS__REQUESTS_PER_SECOND": "1000000",
    "LOGSLUICE_API__LIMITS__BURST": "1000000",
    "LOGSLUICE_API__LIMITS__TOTAL_BODY_BYTES": "536870912",
}


@contextmanager
def serving(running: Servers) -> Iterator[tuple[int, str]]:
    """The API's process and its URL."""
    port = free_port()
    environment = {**running.environment, **_UNLIMITED, "LOGSLUICE_API__PORT": str(port)}
    url = f"http://127.0.0.1:{port}"
    log = running.folder / "api.log"
    with log.open("wb") as output:
        command = [str(Path(sys.executable).with_name("logsluice")), "api"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        end = time.monotonic() + _START_SECONDS
        while not _alive(url):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the API does not start: {log.read_text()[-2000:]}")
            time.sleep(0.2)
        yield process.pid, url
    finally:
        process.terminate()
        process.wait(60)


def _alive(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live", timeout=5).is_success
    except httpx.TransportError:
        return False
