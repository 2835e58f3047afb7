"""compose's Spark cluster: a real master, worker and driver by the image's entrypoint and configuration."""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

pytestmark = pytest.mark.timeout(300)

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
APPLICATION = """
import sys
from pyspark.sql import SparkSession

context = SparkSession.builder.getOrCreate().sparkContext
def own_passwords(_):
    import os
    return [os.environ.get(f"LOGSLUICE_{name}__PASSWORD") for name in ("KAFKA", "ELASTICSEARCH")]

print("passwords", *context.parallelize([0], 1).map(own_passwords).first(), flush=True)
print("counted", context.parallelize(range(10), 2).map(lambda number: number * 2).sum(), flush=True)
sys.stdin.read()
"""


def eventually(probe: Callable[[], T], *, seconds: float = 90) -> T:
    end = time.monotonic() + seconds
    while True:
        try:
            if found := probe():
                return found
        except (AssertionError, httpx.HTTPError):
            if time.monotonic() > end:
                raise
        assert time.monotonic() < end, "it never came"
        time.sleep(0.5)


def free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Cluster:
    """A master and a worker.

    Args:
        folder: For what they write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.master_port, self.master_page, self.worker_page, self.driver_page = free_ports(4)
        self.master = f"spark://127.0.0.1:{self.master_port}"
        self.secret = folder / "secret"
        self.secret.write_text(secrets.token_urlsafe(32))

    @contextmanager
    def running(self, *words: str, log: str = "", **more: str) -> Iterator[subprocess.Popen[str]]:
        """A process as a container of compose starts it."""
        environment: Mapping[str, str] = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))},
            "SPARK_CONF_DIR": str(ROOT / "spark/config"),
            "SPARK_AUTH_SECRET_FILE": str(self.secret),
            "SPARK_MASTER_HOST": "127.0.0.1",
            "SPARK_MASTER_PORT": str(self.master_port),
            "SPARK_MASTER_WEBUI_PORT": str(self.master_page),
            "SPARK_WORKER_WEBUI_PORT": str(self.worker_page),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": str(self.folder),
            "SPARK_WORKER_DIR": str(self.folder / "work"),
            "PYSPARK_PYTHON": sys.executable,
            **more,
        }
        command = [sys.executable, "-m", "logsluice.kubernetes.entrypoint", *words]
        with (self.folder / f"{log or words[0]}.log").open("w") as log_text:
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log_text, text=True
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def driver(self, *options: str) -> Sequence[str]:
        application = self.folder / "application.py"
        application.write_text(APPLICATION)
        conf = ("spark.eventLog.enabled=false", "spark.driver.host=127.0.0.1", f"spark.ui.port={self.driver_page}")
        settings = [word for one in (*conf, *options) for word in ("--conf", one)]
        return ["submit", "--master", self.master, *settings, str(application)]

    def page(self, path: str = "/") -> str:
        answer = httpx.get(f"http://127.0.0.1:{self.master_page}{path}", timeout=10, follow_redirects=True)
        assert answer.is_success, answer.text
        return answer.text


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("spark"))
    with made.running("master"):
        eventually(lambda: made.page("/json/"))
        passwords = {}
        for name in ("KAFKA", "ELASTICSEARCH"):
            (made.folder / name).write_text(f"{name}-of-the-worker\n")
            passwords[f"LOGSLUICE_{name}__PASSWORD_FILE"] = str(made.folder / name)
        with made.running("worker", made.master, **passwords):
            eventually(lambda: '"ALIVE"' in made.page("/json/").partition('"workers"')[2])
            yield made


def test_who_knows_the_secret_runs_jobs_and_links_go_through_the_master(cluster: Cluster) -> None:
    with cluster.running(*cluster.driver()) as driver:
        assert driver.stdout is not None
        # A driver sends executors no passwords: they have those of their worker.
        assert any(
            line.strip() == "passwords KAFKA-of-the-worker ELASTICSEARCH-of-the-worker" for line in driver.stdout
        )
        assert any(line.strip() == "counted 90" for line in driver.stdout)
        # What a browser outside the containers could not follow.
        addresses = (str(cluster.worker_page), str(cluster.driver_page))
        front = cluster.page()
        links = re.findall(r'href="([^"]+)"', front)
        assert not [link for link in links if any(f":{port}" in link for port in addresses)], links
        to_worker = next(link for link in links if "worker-" in link)
        to_driver = next(link for link in links if "/proxy/app-" in link)
        worker = cluster.page(to_worker)
        logs = next(link for link in re.findall(r'href="([^"]+)"', worker) if "logType=stderr" in link)
        assert "bytes" in cluster.page(logs.replace("&amp;", "&")).lower()
        assert "counted" not in cluster.page(to_driver)
        assert "Spark Jobs" in cluster.page(f"{to_driver.rstrip('/')}/jobs/")
    # What it runs with is shown in tables and written to command lines.
    secret = cluster.secret.read_text()
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert secret not in running
    assert secret not in "".join(path.read_text() for path in cluster.folder.glob("*.log"))


def test_who_does_not_know_the_secret_runs_nothing(cluster: Cluster, tmp_path: Path) -> None:
    other = tmp_path / "secret"
    other.write_text("guessed")
    off = ("spark.authenticate=false", "spark.network.crypto.enabled=false", "spark.ui.enabled=false")
    with (
        cluster.running(*cluster.driver(), log="guessing", SPARK_AUTH_SECRET_FILE=str(other)) as guessing,
        cluster.running(*cluster.driver(*off), log="without", SPARK_AUTH_SECRET_FILE="") as without,
    ):
        assert guessing.wait(200) != 0
        assert without.wait(200) != 0
    for log in ("guessing", "without"):
        log_text = (cluster.folder / f"{log}.log").read_text()
        assert "masters are unresponsive" in log_text.lower(), log_text[-2_000:]


def test_no_other_way_in_is_open_that_asks_for_no_secret(cluster: Cluster) -> None:
    # Submission over HTTP knows no secret (CVE-2018-11770). A master offers it since Spark 4.1 (SPARK-51165), and says
    # so on its page and in its log.
    front = cluster.page()
    assert cluster.master in front
    assert "REST URL" not in front
    assert "REST server" not in (cluster.folder / "master.log").read_text()


def test_a_master_without_the_secret_does_not_start(cluster: Cluster) -> None:
    ports = {"SPARK_MASTER_PORT": "0", "SPARK_MASTER_WEBUI_PORT": "0"}
    with cluster.running("master", **ports, SPARK_AUTH_SECRET_FILE=str(cluster.folder / "none")) as master:
        assert master.wait(60) != 0
