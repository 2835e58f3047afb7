"""CI is what a person types, all of it whatever fails, and nothing in it may be skipped."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.shared.shared_folder import ROOT

TARGETS = ["test", "test-k8s", "test-alone"]


def _run(folder: Path, failing: str) -> tuple[int, list[str], str]:
    """CI with a make that only notes what it is asked for."""
    notes = folder / "notes"
    make = folder / "make"
    make.write_text(f'#!/bin/sh\necho "$1 $LOGSLUICE_REQUIRE_ALL" >> {notes}\n[ "$1" != "{failing}" ]\n')
    make.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", ROOT / ".ci" / "run"], env=environment, cwd=folder, capture_output=True, text=True, timeout=60
    )
    return done.returncode, notes.read_text().splitlines(), done.stdout


@pytest.mark.parametrize("failing", ["", *TARGETS])
def test_all_of_ci_runs_and_a_failure_is_told_at_the_end(tmp_path: Path, failing: str) -> None:
    code, targets, output = _run(tmp_path, failing)
    assert targets == [f"{target} 1" for target in TARGETS]
    assert code == (1 if failing else 0)
    assert output.splitlines()[-1].startswith(f"failed: make {failing}" if failing else "== make test-alone took")


def test_the_workflow_types_what_the_makefile_has() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8"))["jobs"]
    typed = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}
    assert typed == {
        "lint": ["make lint"],
        "unit": ["make test-unit"],
        "integration": ["sudo make test-packages", "make test"],
        "kubernetes": ["make charts", "make test-k8s"],
    }
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert {command.split()[-1] for commands in typed.values() for command in commands} | set(TARGETS) <= targets
