"""checkov over the rendered overlays and the image, with the waivers of k8s/checkov.yaml and of the Dockerfile."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from k8s_manifests import OVERLAYS, ROOT, rendered
from k8s_tools import tool


def _checkov(*arguments: str | Path) -> dict[str, int]:
    done = subprocess.run(
        [tool("checkov"), "--quiet", "--compact", "--skip-download", "--output", "json", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )
    report = json.loads(done.stdout)
    assert done.returncode == 0, report["results"]["failed_checks"]
    summary: dict[str, int] = report["summary"]
    return summary


@pytest.mark.parametrize("name", OVERLAYS)
def test_checkov_finds_nothing_in_an_overlay(name: str, tmp_path: Path) -> None:
    (tmp_path / "objects.yaml").write_text(rendered(name))
    summary = _checkov("--framework", "kubernetes", "--config-file", ROOT / "k8s/checkov.yaml", "-d", tmp_path)
    assert summary["failed"] == summary["parsing_errors"] == 0
    assert summary["passed"] > 100


def test_checkov_finds_nothing_in_the_image() -> None:
    summary = _checkov("--framework", "dockerfile", "-f", ROOT / "spark" / "Dockerfile")
    assert summary["failed"] == summary["parsing_errors"] == 0
    assert summary["passed"] > 0


def test_every_waiver_says_why() -> None:
    lines = (ROOT / "k8s" / "checkov.yaml").read_text().splitlines()
    waivers = [line for line in lines if line.strip().startswith("- ")]
    waivers += [line for line in (ROOT / "spark" / "Dockerfile").read_text().splitlines() if "checkov:skip" in line]
    assert waivers
    for waiver in waivers:
        assert re.search(r"CKV\w+(:| #) .{20}", waiver), waiver
