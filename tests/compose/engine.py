"""The Docker engine of these tests, and the images that they need.

With ``LOGSLUICE_TEST_IMAGES=upstream`` the public images are pulled, and the engine is the one that Docker chooses: for
machines that are thrown away. Else stand-ins are built for them, on the engine that ``DOCKER_HOST`` names or a private
one that ``tools/docker-engine`` of the shared folder starts; one that merely runs on the machine is not touched,
because images and volumes would stay there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from logsluice.jvm.jars import jar_paths
from tests.shared.shared_folder import ROOT, TOOLS

IMAGES = Path(__file__).parent / "images"
OVERRIDE = Path(__file__).with_name("override.yml")
TAG = "test"
OURS = f"logsluice:{TAG}"
UPSTREAM = os.environ.get("LOGSLUICE_TEST_IMAGES") == "upstream"
KEPT = "LOGSLUICE_TEST_ENGINE"
"""Names the folder of an engine to be kept between runs, with its images."""


@contextmanager
def engine(folder: Path) -> Iterator[dict[str, str]]:
    """An engine's variables; one that was started here is stopped at the end."""
    if UPSTREAM or "DOCKER_HOST" in os.environ:
        yield {}
        return
    starter = TOOLS / "docker-engine"
    if not starter.is_file():
        pytest.skip(f"DOCKER_HOST names no engine, and {starter} is not there to start one")
    kept = os.environ.get(KEPT)
    place = Path(kept or folder)
    output = subprocess.run([starter, "start", place], check=True, capture_output=True, text=True, timeout=600).stdout
    try:
        variables = dict(re.findall(r"(\w+)=(\S+)", output.splitlines()[-1]))
        if "python:3.12-slim-bookworm" not in _images(variables):
            subprocess.run([starter, "base", place], check=True, capture_output=True, text=True, timeout=1_800)
        yield variables
    finally:
        purge = {} if kept else {"PURGE": "1"}
        subprocess.run([starter, "stop", place], env={**os.environ, **purge}, capture_output=True, timeout=300)


def docker(variables: Mapping[str, str], *arguments: str | Path, seconds: float = 120) -> str:
    """What a docker command prints.

    Raises:
        AssertionError: It failed.
    """
    done = subprocess.run(
        ["docker", *arguments], env={**os.environ, **variables}, capture_output=True, text=True, timeout=seconds
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
    return done.stdout


def build_all(variables: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Our image from its own Dockerfile, and stand-ins for the public ones where these are not pulled.

    Returns:
        Variables of the override, by which ours is built again.
    """
    # The published base, by its digest, cannot be had from an engine with no way out.
    base_image = {} if UPSTREAM else {"PYTHON_IMAGE": "python:3.12-slim-bookworm"}
    if authorities := _authorities():
        base = _context(folder, "python")
        (base / "authorities").mkdir()
        for path in authorities:
            shutil.copy(path, base / "authorities")
        _build(variables, "logsluice-test/python:3.12-slim-bookworm", base)
        base_image = {"PYTHON_IMAGE": "logsluice-test/python:3.12-slim-bookworm"}
    _build_ours({**variables, **base_image})
    if UPSTREAM:
        return base_image
    kafka = _context(folder, "kafka")
    (kafka / "jars").mkdir()
    for jar in jar_paths("kafka"):
        shutil.copy(jar, kafka / "jars")
    _build(variables, "logsluice-test/kafka:4.3.1", kafka)
    elasticsearch = _context(folder, "elasticsearch")
    for jar in jar_paths("elasticsearch"):
        target = elasticsearch / "jars" / jar.parent.name
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(jar, target)
    _build(variables, "logsluice-test/elasticsearch:9.5.3", elasticsearch, "--build-arg", f"LOGSLUICE_IMAGE={OURS}")
    for name in ("monitoring", "redis"):
        _build(variables, f"logsluice-test/{name}:bookworm", _context(folder, name))
    return base_image


def _images(variables: Mapping[str, str]) -> Sequence[str]:
    return docker(variables, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()


def _context(folder: Path, name: str) -> Path:
    shutil.copytree(IMAGES / name, folder / name)
    return folder / name


def _build_ours(variables: Mapping[str, str]) -> None:
    """Our image as a user builds it."""
    files = ["-f", "docker-compose.yml", "-f", str(OVERRIDE)]
    done = subprocess.run(
        ["docker", "compose", *files, "build"],
        cwd=ROOT,
        env={**os.environ, **variables, "LOGSLUICE_VERSION": TAG},
        capture_output=True,
        text=True,
        timeout=3_600,
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]


def _build(variables: Mapping[str, str], tag: str, context: Path, *arguments: str) -> None:
    # A private engine has no way out but the machine's own network.
    docker(variables, "build", "--network", "host", "--tag", tag, *arguments, context, seconds=3_600)


def _authorities() -> list[Path]:
    """Certificate authorities that whoever runs this machine added to those of its system."""
    return sorted(Path("/usr/local/share/ca-certificates").glob("*.crt"))
