"""The commands of redis.yaml, with Debian's Redis: what holds keys forgets none, and both end when they are asked."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from redis import AuthenticationError, Redis, RedisError

from tests.k8s.k8s_manifests import ROOT

SECONDS = 30
PASSWORD = "0123$HOME"

pytestmark = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="there is no redis-server here (Debian's package redis-server)"
)


def containers() -> dict[str, dict[str, Any]]:
    documents = yaml.safe_load_all((ROOT / "k8s" / "components" / "api" / "redis.yaml").read_text())
    (deployment,) = (document for document in documents if document["kind"] == "Deployment")
    return {entry["name"]: entry for entry in deployment["spec"]["template"]["spec"]["containers"]}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running(name: str, folder: Path, password: str) -> Iterator[tuple[psutil.Popen, Redis]]:
    """A container's command, with a port and a folder of this test."""
    *shell, script = containers()[name]["command"]
    port = free_port()
    script = script.replace("redis-server -", f"redis-server - --port {port} --bind 127.0.0.1", 1)
    script = re.sub(r"--dir \S+", f"--dir {folder}", script.replace("--port 6380", ""))
    process = psutil.Popen(
        [*shell, script],
        env={"PATH": os.environ["PATH"], "REDIS_PASSWORD": password},
        stdout=subprocess.DEVNULL,
    )
    client = Redis(port=port, password=password or None)
    try:
        end = time.monotonic() + SECONDS
        while not _answers(client):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        yield process, client
    finally:
        for child in process.children(recursive=True) if process.is_running() else []:
            child.kill()
        if process.is_running():
            process.kill()
        client.close()


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False


@pytest.mark.parametrize(("name", "policy"), [("redis", "noeviction"), ("redis-cache", "allkeys-lru")])
def test_redis_itself_is_the_process_that_is_asked_to_end(name: str, policy: str, tmp_path: Path) -> None:
    with running(name, tmp_path, PASSWORD) as (process, client):
        assert process.name().startswith("redis-server")
        assert process.children() == []
        config: dict[str, str] = client.config_get()  # type: ignore[assignment]
        assert config["maxmemory-policy"] == policy
        assert int(config["maxmemory"]) > 0
        assert config["appendfsync"] == "always" or name == "redis-cache"
        with (
            Redis(port=client.connection_pool.connection_kwargs["port"]) as stranger,
            pytest.raises(AuthenticationError),
        ):
            stranger.ping()
        assert PASSWORD not in " ".join(process.cmdline())
        process.terminate()
        assert process.wait(SECONDS / 2) == 0


def test_without_a_password_it_starts_all_the_same(tmp_path: Path) -> None:
    with running("redis", tmp_path, "") as (process, client):
        client.set("key", "value")
        process.terminate()
        assert process.wait(SECONDS / 2) == 0
