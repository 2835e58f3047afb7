"""docker-compose.yml as Compose itself reads it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
import yaml

from tests.shared.shared_folder import ROOT, compose_command

ENVIRONMENTS = ("dev", "prod")
TEXT = (ROOT / "docker-compose.yml").read_text()
OURS = "logsluice:0.1.0"


@cache
def compose() -> tuple[str, ...]:
    """The command of Compose v2; skips the test where it is not to be had."""
    return compose_command() or pytest.skip("there is neither docker-compose nor `docker compose`")


def run(
    env: str, *arguments: str, more: Mapping[str, str] | None = None, small: bool = False
) -> subprocess.CompletedProcess[str]:
    """Let Compose do something with the file, with nothing set but the environment's name and what is given."""
    files = ("docker-compose.yml", "docker-compose.small.yml") if small else ("docker-compose.yml",)
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [
            *compose(),
            *(word for file in files for word in ("-f", file)),
            *("--env-file", os.devnull, "--profile", "*"),
            *arguments,
        ],
        cwd=ROOT,
        env={**kept, "LOGSLUICE_ENV": env, **(more or {})},
        capture_output=True,
        text=True,
        timeout=60,
    )


@cache
def rendered(env: str, *, small: bool = False) -> dict[str, Any]:
    """The whole file with every profile, as Compose understands it, or the small variant."""
    done = run(env, "config", "--format", "json", small=small)
    assert done.returncode == 0, done.stderr
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def services(env: str, *, small: bool = False) -> dict[str, dict[str, Any]]:
    """Every service, by name."""
    found: dict[str, dict[str, Any]] = rendered(env, small=small)["services"]
    return found


def runs_once(service: Mapping[str, Any]) -> bool:
    """Whether a service ends by itself."""
    return service["restart"] in ("on-failure", "no")


def scrape_configs(env: str) -> dict[str, dict[str, Any]]:
    """What Prometheus reads, by the name of the job."""
    parsed = yaml.safe_load((ROOT / "config" / env / "prometheus.yml").read_text())
    return {entry["job_name"]: entry for entry in parsed["scrape_configs"]}


def targets(entry: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Hosts and ports of a scrape job; of a name that may stand for none or many, the name."""
    for dns in entry.get("dns_sd_configs", []):
        for host in dns["names"]:
            yield host, dns["port"]
    for static in entry.get("static_configs", []):
        for target in static["targets"]:
            host, port = target.split(":")
            yield host, int(port)
    for dns in entry.get("dns_sd_configs", []):
        yield from ((name, dns["port"]) for name in dns["names"])


def variables() -> dict[str, set[str]]:
    """Every variable of the file, with the defaults that it is given."""
    found: dict[str, set[str]] = {}
    for name, default in re.findall(r"(?<!\$)\$\{(\w+):-([^}]*)\}", TEXT):
        found.setdefault(name, set()).add(default)
    return found
