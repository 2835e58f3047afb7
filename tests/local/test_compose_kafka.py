"""compose's broker without a container: its start script, properties and environment, real Kafka, and the stand-in's
scripts, which do what Kafka's own do."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from logsluice.jvm.jars import jar_paths
from logsluice.provision.compose import AGENT, READERS, prepare

pytestmark = pytest.mark.timeout(240)

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "tests/compose/images/kafka"


def free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture
def container(tmp_path: Path) -> Path:
    """The folders of the container, below one of ours."""
    opt = tmp_path / "opt/kafka"
    (opt / "bin").mkdir(parents=True)
    (opt / "libs").mkdir()
    (opt / "config").mkdir()
    for jar in jar_paths("kafka"):
        (opt / "libs" / jar.name).symlink_to(jar)
    for name in ("kafka-server-start.sh", "kafka-run-class.sh"):
        shutil.copy(IMAGE / name, opt / "bin")
    shutil.copy(IMAGE / "log4j2.yaml", opt / "config")
    (tmp_path / "opt/jmx-exporter").mkdir()
    (agent,) = jar_paths("jmx-exporter")
    (tmp_path / "opt/jmx-exporter" / AGENT).symlink_to(agent)
    (tmp_path / "var/lib/kafka/data").mkdir(parents=True)
    prepare(tmp_path / "run/secrets", dict.fromkeys(READERS, os.getuid()))
    return tmp_path


def laid_out(container: Path, env: str) -> tuple[Path, dict[str, str]]:
    """The start script with its paths and ports, and compose's environment."""
    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["kafka"]
    numbers = dict(zip(("9092", "29092", "9093", "9404"), map(str, free_ports(4)), strict=True))

    def here(text: str) -> str:
        text = re.sub(r"(?<![\w/])/(opt|etc|var|run)/", lambda found: f"{container}/{found[1]}/", text)
        return re.sub(r"\b(29092|9092|9093|9404)\b", lambda found: numbers[found[1]], text)

    etc = container / "etc/kafka"
    etc.mkdir(parents=True)
    for volume in service["volumes"]:
        source, _, target = volume.replace("${LOGSLUICE_ENV:-dev}", env).partition(":")
        if source.startswith("./"):
            (etc / Path(target.removesuffix(":ro")).name).write_text(here((ROOT / source).read_text()))
    environment = {
        name: here(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)) for name, value in service["environment"].items()
    }
    return etc / "start.sh", environment


@pytest.mark.parametrize("env", ["dev", "prod"])
def test_the_broker_starts_and_writes_no_log(container: Path, env: str) -> None:
    script, environment = laid_out(container, env)
    output = container / "output"
    with output.open("w") as log:
        broker = subprocess.Popen(
            ["bash", script], env={"PATH": os.environ["PATH"], **environment}, stdout=log, stderr=log
        )
    try:
        healthy = ["bash", str(script.with_name("healthy.sh"))]
        end = time.monotonic() + 180
        while subprocess.run(healthy, capture_output=True, timeout=60).returncode:
            assert broker.poll() is None, output.read_text()[-3_000:]
            assert time.monotonic() < end, output.read_text()[-3_000:]
            time.sleep(1)
        # The script's place is taken by Java, which hears that it is to stop.
        assert Path(f"/proc/{broker.pid}/comm").read_text().strip() == "java"
        broker.terminate()
        assert broker.wait(60) == 143
    finally:
        broker.kill()
        broker.wait()
    assert "started (kafka.server.KafkaRaftServer)" in output.read_text()
    assert not [path for path in container.rglob("*.log*") if "data" not in path.parts and path.is_file()]
