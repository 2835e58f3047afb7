"""The workflows: pinned, and with no stored key. Their form is for actionlint to judge, where there is one."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.graph import ROOT
from tests.shared.shared_folder import tool

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ON_AWS = ("preview.yml", "release.yml")


def _load(name: str) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text("utf-8"))
    return found


def test_the_workflows_are_these() -> None:
    assert [path.name for path in WORKFLOWS] == ["base-image.yml", "e2e.yml", "preview.yml", "release.yml", "tests.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_commit_with_its_version_beside_it(path: Path) -> None:
    used = re.findall(r"uses: (.*)", path.read_text("utf-8"))
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_stored_key_is_used(path: Path) -> None:
    assert "secrets." not in path.read_text("utf-8")


@pytest.mark.parametrize("name", ON_AWS)
def test_aws_is_reached_by_oidc_from_an_environment_of_the_stack(name: str) -> None:
    (job,) = _load(name)["jobs"].values()
    assert _load(name)["permissions"] == {}
    assert job["permissions"]["id-token"] == "write"
    assert job["permissions"]["contents"] == "read"
    assert "${{ matrix.stack }}" in job["environment"]
    assert job["strategy"]["matrix"]["stack"] == ["dev", "prod"]
    (credentials,) = [step for step in job["steps"] if "configure-aws-credentials" in step.get("uses", "")]
    assert set(credentials["with"]) == {"role-to-assume", "aws-region"}


def test_a_fork_gets_no_role() -> None:
    condition = _load("preview.yml")["jobs"]["preview"]["if"]
    assert condition == "github.event.pull_request.head.repo.full_name == github.repository"


def test_prod_comes_after_dev_and_only_on_a_release() -> None:
    release = _load("release.yml")
    assert release[True] == {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+"]}}  # YAML 1.1 reads `on` as true
    assert release["jobs"]["up"]["strategy"] == {"max-parallel": 1, "matrix": {"stack": ["dev", "prod"]}}


def test_no_text_of_somebody_else_is_run_as_a_command() -> None:
    for path in WORKFLOWS:
        for job in _load(path.name)["jobs"].values():
            for step in job["steps"]:
                assert "${{" not in step.get("run", ""), step


def test_the_engine_is_as_new_as_its_sdk() -> None:
    locked = re.search(r"^pulumi==(\S+)", (ROOT / "requirements-dev.lock").read_text("utf-8"), re.MULTILINE)
    assert locked
    for name in ON_AWS:
        text = (ROOT / ".github" / "workflows" / name).read_text("utf-8")
        assert set(re.findall(r"pulumi-version: (\S+)", text)) == {locked[1]}


@pytest.mark.tools
def test_actionlint_finds_nothing() -> None:
    run = subprocess.run([tool("actionlint"), *map(str, WORKFLOWS)], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
