"""Nothing of ours is ignored: git, ruff and the build of the wheel would leave it out."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.shared.shared_folder import ROOT, tool

FOLDERS = ("src", "tests", "jobs", "bench", "infra", "grafana", "docs", "config", "helm", "k8s", "spark")
SUFFIXES = (".py", ".md", ".yaml", ".yml", ".json")
OF_PYTHON = {"__pycache__", ".pytest_cache"}


def test_no_file_of_ours_is_ignored(tmp_path: Path) -> None:
    git = tool("git")
    subprocess.run([git, "init", "--quiet", tmp_path], check=True, timeout=60)
    files = [path.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    ours = [str(path) for path in files if path.suffix in SUFFIXES and not OF_PYTHON & set(path.parts)]
    command = [git, f"--git-dir={tmp_path / '.git'}", f"--work-tree={ROOT}", "check-ignore", "--no-index", "--stdin"]
    found = subprocess.run(command, input="\n".join(ours), capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert found.stdout.splitlines() == []
    assert found.returncode == 1, found.stderr
