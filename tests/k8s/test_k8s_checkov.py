"""checkov over the rendered overlays, the image, and what compose reads; waivers are in k8s/checkov.yaml, or there."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.k8s.k8s_manifests import OVERLAYS, ROOT, rendered
from tests.shared.shared_folder import tool


def _checkov(*arguments: str | Path) -> dict[str, int]:
    done = subprocess.run(
        [tool("checkov"), "--quiet", "--compact", "--skip-download", "--output", "json", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )
    # One report, or a list of one for each framework that found something.
    reports = json.loads(done.stdout)
    reports = reports if isinstance(reports, list) else [reports]
    assert done.returncode == 0, [report["results"]["failed_checks"] for report in reports]
    summary: dict[str, int] = reports[0]["summary"]
    return summary


@pytest.mark.parametrize("name", OVERLAYS)
def test_checkov_finds_nothing_in_an_overlay(name: str, tmp_path: Path) -> None:
    (tmp_path / "objects.yaml").write_text(rendered(name))
    summary = _checkov("--framework", "kubernetes", "--config-file", ROOT / "k8s/checkov.yaml", "-d", tmp_path)
    assert summary["failed"] == summary["parsing_errors"] == 0
    assert summary["passed"] > 100


def test_checkov_finds_nothing_in_the_image_and_no_secret_beside_compose() -> None:
    read = [path for path in sorted((ROOT / "config").rglob("*")) if path.is_file()]
    files = [ROOT / "spark" / "Dockerfile", ROOT / "docker-compose.yml", ROOT / ".env.example", *read]
    summary = _checkov("--framework", "dockerfile", "secrets", "-f", *files)
    assert summary["failed"] == summary["parsing_errors"] == 0
    assert summary["passed"] > 0


def test_every_waiver_says_why() -> None:
    lines = (ROOT / "k8s" / "checkov.yaml").read_text().splitlines()
    waivers = [line for line in lines if line.strip().startswith("- ")]
    waivers += [line for line in (ROOT / "spark" / "Dockerfile").read_text().splitlines() if "checkov:skip" in line]
    assert waivers
    for waiver in waivers:
        assert re.search(r"CKV\w+(:| #) .{20}", waiver), waiver
