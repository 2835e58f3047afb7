"""Whatever git is set to, a checkout has the line ends that containers and shells can read."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.shared.shared_folder import ROOT, tool

FOLDERS = (
    ".ci",
    ".github",
    "bench",
    "config",
    "docs",
    "grafana",
    "helm",
    "infra",
    "jobs",
    "k8s",
    "spark",
    "src",
    "tests",
)
AT_THE_ROOT = ("Makefile", "docker-compose.yml", ".env.example", ".dockerignore", "pyproject.toml")


def _git(folder: Path, *arguments: str | Path) -> str:
    identity = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org"}
    identity |= {"GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.org", "GIT_CONFIG_GLOBAL": os.devnull}
    command = [tool("git"), "-C", folder, *arguments]
    return subprocess.run(
        command, env={**os.environ, **identity}, check=True, capture_output=True, text=True, timeout=60
    ).stdout


def _scripts() -> list[Path]:
    """What a shell or a container's build reads, found by name or by its first line."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    files = [path for path in files if "__pycache__" not in path.parts]
    return [
        path.relative_to(ROOT)
        for path in files
        if path.suffix in (".sh", ".env") or path.name.startswith("Dockerfile") or path.read_bytes()[:2] == b"#!"
    ]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with our attributes, our scripts and some more of our files."""
    folder = tmp_path_factory.mktemp("repository")
    for path in (Path(".gitattributes"), *_scripts(), *map(Path, AT_THE_ROOT)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
    _git(folder, "init", "--quiet")
    _git(folder, "add", "--force", ".")
    _git(folder, "commit", "--quiet", "--message", "all")
    return folder


def test_every_script_is_checked_out_with_lf(repository: Path) -> None:
    scripts = _scripts()
    assert {Path(".ci/run"), Path("spark/Dockerfile"), Path("config/kafka/start.sh")} <= set(scripts)
    for path in scripts:
        assert _git(repository, "check-attr", "eol", path).endswith(": eol: lf\n"), path


def test_a_checkout_as_on_windows_changes_no_byte(repository: Path, tmp_path: Path) -> None:
    as_on_windows = ("-c", "core.autocrlf=true", "-c", "core.eol=crlf")
    _git(tmp_path, "clone", "--quiet", *as_on_windows, repository, tmp_path / "clone")
    for path in (*_scripts(), *map(Path, AT_THE_ROOT)):
        assert (tmp_path / "clone" / path).read_bytes() == (ROOT / path).read_bytes(), path
        assert b"\r\n" not in (ROOT / path).read_bytes(), path
