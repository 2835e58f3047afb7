"""docker-compose.yml on a real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.engine import build_all, engine
from tests.compose.project import Project, free_ports


@pytest.fixture(scope="session")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An engine that has all images."""
    with engine(tmp_path_factory.mktemp("engine")) as found:
        yield found | build_all(found, tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def project(variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """dev, not started yet; whatever is left of it is removed at the end."""
    started = Project(variables, "dev", free_ports(tmp_path_factory.mktemp("env") / "env"))
    try:
        yield started
    finally:
        started.down("--volumes")


@pytest.fixture
def container_logs(project: Project, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """After a failure: the logs of every container."""
    yield
    if request.session.testsfailed:
        (tmp_path / "compose.log").write_text(project.compose("logs", "--no-color", "--timestamps"))
        print(f"logs of the containers: {tmp_path / 'compose.log'}")
