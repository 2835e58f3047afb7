"""A real broker and a real Elasticsearch for the tests of this folder.

A test that asks for ``settings`` gets a topic, a home folder and metrics ports of its own, and an
Elasticsearch without logsluice's indices and templates. Both servers are up then, whatever the test before
did to them. The same settings stand in the environment of the test and of what ``runner`` starts.
"""

from __future__ import annotations

import os
import shutil
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from logsluice.extract import load_registry
from logsluice.jvm.jars import jar_paths
from logsluice.provision.setup import run_setup
from logsluice.settings import MetricsSettings, Settings, load_settings
from logsluice.stack.supervisor import LocalStack
from tests.local.api_parts import Api, RedisServer, serving
from tests.local.running import ROOT, Runner, forget_indices, free_port

# Hundreds of Java machines live for some seconds here: their second compiler costs more than it gives.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A broker and an Elasticsearch for the whole session."""
    # A session that is ended by SIGTERM has to stop its servers like one that is ended by Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    stack = LocalStack(tmp_path_factory.mktemp("stack"), free_port(), free_port())
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="session")
def secure_stack(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A broker with TLS and SCRAM; the Elasticsearch is that of ``stack``."""
    port = stack.port("elasticsearch")
    secured = LocalStack(tmp_path_factory.mktemp("secure"), free_port(), port, secure=True)
    try:
        secured.start("kafka")
        yield secured
    finally:
        secured.stop("kafka")


@pytest.fixture(scope="session")
def jmx_port() -> int:
    """Where the JMX exporter of ``observed_stack`` serves its metrics."""
    return free_port()


@pytest.fixture(scope="session")
def observed_stack(stack: LocalStack, jmx_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A broker with the JMX exporter in it, set up as on Kubernetes; the Elasticsearch is that of ``stack``."""
    observed = LocalStack(tmp_path_factory.mktemp("observed"), free_port(), stack.port("elasticsearch"))
    (agent,) = jar_paths("jmx-exporter")
    rules = ROOT / "k8s" / "base" / "kafka" / "metrics.yaml"
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JDK_JAVA_OPTIONS", f"-XX:TieredStopAtLevel=1 -javaagent:{agent}=127.0.0.1:{jmx_port}:{rules}")
            observed.start("kafka")
        yield observed
    finally:
        observed.stop("kafka")


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if (name.startswith("LOGSLUICE_") and name != "LOGSLUICE_CACHE") or name == "PROCESSING_MODE":
            monkeypatch.delenv(name)


@pytest.fixture
def settings(stack: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a dev environment on ``stack`` that no other test has touched."""
    stack.start()
    return _settings(stack, tmp_path, monkeypatch)


@pytest.fixture
def secure_settings(
    stack: LocalStack, secure_stack: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """The same on ``secure_stack``."""
    stack.start("elasticsearch")
    secure_stack.start("kafka")
    return _settings(secure_stack, tmp_path, monkeypatch)


@pytest.fixture
def observed_settings(
    stack: LocalStack, observed_stack: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """The same on ``observed_stack``."""
    stack.start("elasticsearch")
    return _settings(observed_stack, tmp_path, monkeypatch)


@pytest.fixture
def elasticsearch_client(stack: LocalStack) -> Iterator[Elasticsearch]:
    """A client with nothing of logsluice's in it."""
    with Elasticsearch(f"http://127.0.0.1:{stack.port('elasticsearch')}", request_timeout=60) as client:
        yield client


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    """Starts jobs and commands with the environment of the test; ask for ``settings`` before it."""
    folder = tmp_path / "jobs"
    folder.mkdir()
    runner = Runner(folder, os.environ)
    try:
        yield runner
    finally:
        runner.close()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A real Redis, which may be killed and started again."""
    if shutil.which("redis-server") is None:
        pytest.skip("there is no redis-server here (Debian's package redis-server)")
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
def set_up(settings: Settings) -> None:
    """The topics and templates of the test are made."""
    run_setup(settings, load_registry().fields)


@pytest.fixture
def api(set_up: None, runner: Runner) -> Iterator[Api]:
    """The API on the stack of the test, without a Redis."""
    with serving(runner) as api:
        yield api


def _settings(stack: LocalStack, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    forget_indices(f"http://127.0.0.1:{stack.port('elasticsearch')}")
    environment = stack.environment() | {
        "LOGSLUICE_CONFIG": str(ROOT / "config" / "dev"),
        "LOGSLUICE_HOME": str(folder / "home"),
        "LOGSLUICE_KAFKA__TOPIC": f"logs-{uuid.uuid4().hex[:8]}",
        "LOGSLUICE_KAFKA__ALERTS_TOPIC": f"alerts-{uuid.uuid4().hex[:8]}",
        "LOGSLUICE_ALERTS__LOG": str(folder / "reports" / "alerts.log"),
    }
    for name in MetricsSettings.model_fields:
        if name != "host":
            environment[f"LOGSLUICE_METRICS__{name.upper()}"] = str(free_port())
    environment["LOGSLUICE_DASHBOARD__PORT"] = str(free_port())
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load_settings()
