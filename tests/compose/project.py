"""docker-compose.yml as it is, or with the override of stand-ins."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.compose.engine import OVERRIDE, TAG, UPSTREAM, docker
from tests.shared.shared_folder import ROOT

T = TypeVar("T")
SECONDS = 600.0
_FILES = ("-f", "docker-compose.yml", *(() if UPSTREAM else ("-f", str(OVERRIDE))))
# Where there is no Logstash, the index job of the profile `light` does its part.
_PROFILES = ("--profile", "api", "--profile", "tools", *(() if UPSTREAM else ("--profile", "light")))


def eventually(probe: Callable[[], T], *, seconds: float = SECONDS) -> T:
    """What ``look`` gives once it gives something; AssertionErrors and silence mean: not yet.

    Raises:
        AssertionError: It never did.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            found = probe()
        except (AssertionError, httpx.HTTPError) as error:
            if time.monotonic() > end:
                raise AssertionError(str(error)) from error
        else:
            if found:
                return found
            assert time.monotonic() < end, "it never came"
        time.sleep(1)


def free_ports(path: Path) -> dict[str, int]:
    """A port that nobody has for each that the file publishes, written to a file as ``.env`` has them."""
    names = sorted(set(re.findall(r"\$\{(\w+_PORT):-", (ROOT / "docker-compose.yml").read_text())))
    with ExitStack() as held:
        sockets = {name: held.enter_context(socket.socket()) for name in names}
        for one in sockets.values():
            one.bind(("127.0.0.1", 0))
        ports = {name: one.getsockname()[1] for name, one in sockets.items()}
    path.write_text("".join(f"{name}={port}\n" for name, port in ports.items()))
    return ports


def _bytes(text: str) -> int:
    """Docker's way to say bytes: ``1.5GiB``."""
    number, unit = re.fullmatch(r"([\d.]+)([KMG]?)i?B", text.strip()).groups()  # type: ignore[union-attr]
    return int(float(number) * 1024 ** " KMG".index(unit or " "))


class Project:
    """A project of Compose on the engine of these tests.

    Args:
        variables: Of the engine.
        env: The environment.
        ports: By the name of their variable.
        more: Further variables of the file.
    """

    def __init__(
        self, variables: Mapping[str, str], env: str, ports: Mapping[str, int], more: Mapping[str, str] | None = None
    ) -> None:
        self._variables = variables
        self.ports = ports
        self._environment = {
            **os.environ,
            **variables,
            "LOGSLUICE_ENV": env,
            "LOGSLUICE_VERSION": TAG,
            **{name: str(port) for name, port in ports.items()},
            **(more or {}),
        }
        self.name = f"logsluice-{env}"

    def set(self, name: str, value: str) -> None:
        """Give a variable of the file another value, as ``.env`` would."""
        self._environment[name] = value

    def compose(self, *arguments: str, seconds: float = 120) -> str:
        """What a command of Compose prints on standard output.

        Raises:
            AssertionError: It failed.
        """
        command = ["docker", "compose", *_FILES, *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self._environment, capture_output=True, text=True, timeout=seconds)
        assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-8_000:]
        return done.stdout

    def up(self, *arguments: str) -> None:
        """Start services in the background; back when what they wait for is healthy and they are started."""
        self.compose(*_PROFILES, "up", "--detach", "--no-build", *arguments, seconds=1_800)

    def down(self, *arguments: str) -> None:
        """Remove the containers."""
        self.compose(*_PROFILES, "down", *arguments, seconds=300)

    def states(self) -> dict[str, list[dict[str, Any]]]:
        """Every container, also those that ended, by service."""
        found: dict[str, list[dict[str, Any]]] = {}
        for line in self.compose("ps", "--all", "--format", "json").splitlines():
            state = json.loads(line)
            found.setdefault(state["Service"], []).append(state)
        return found

    def memory(self) -> dict[str, tuple[int, int]]:
        """What each part uses, without the cache of files that can be given back, and may use: in bytes."""
        found: dict[str, tuple[int, int]] = {}
        for name, states in self.states().items():
            for state in states:
                if state["State"] == "running":
                    usage = self.docker("stats", "--no-stream", "--format", "{{.MemUsage}}", state["ID"])
                    use, limit = (_bytes(word) for word in usage.split("/"))
                    found[name] = max(found.get(name, (0, 0)), (use, limit))
        return found

    def get(self, port: str, path: str) -> httpx.Response:
        """An HTTP answer of a published port."""
        answer = httpx.get(f"http://127.0.0.1:{self.ports[port]}{path}", timeout=30)
        assert answer.is_success, answer.text
        return answer

    def docker(self, *arguments: str) -> str:
        """What a docker command prints."""
        return docker(self._variables, *arguments)
