"""What an overlay takes by a line, it can do without: nothing else changes then, and nothing of it stays."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.k8s.k8s_manifests import ROOT, Object, identity, kustomize, overlay

COMPONENTS = ROOT / "k8s" / "components"
PARTS = ("api", "dashboard", "monitoring", "producer")


def _render(folder: Path) -> dict[str, Object]:
    done = subprocess.run([*kustomize(), str(folder)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return {identity(item): item for item in yaml.safe_load_all(done.stdout)}


@pytest.mark.parametrize("part", PARTS)
def test_an_overlay_without_a_component_is_the_same_without_its_objects(part: str, tmp_path: Path) -> None:
    for name in ("config", "k8s"):
        shutil.copytree(ROOT / name, tmp_path / name)
    path = tmp_path / "k8s" / "overlays" / "dev-aws" / "kustomization.yaml"
    line = f"  - ../../components/{part}\n"
    assert path.read_text().count(line) == 1
    path.write_text(path.read_text().replace(line, ""))
    whole = {identity(item): item for item in overlay("dev-aws").objects}
    left = _render(path.parent)
    assert whole.keys() - left.keys() == _render(COMPONENTS / part).keys()
    assert left == {name: whole[name] for name in left}


def test_each_component_says_what_it_is() -> None:
    folders = {path.parent.name for path in COMPONENTS.glob("*/kustomization.yaml")}
    listed = re.findall(r"(?m)^\| \[([\w-]+)\]\(\1\) \|", (COMPONENTS / "README.md").read_text())
    assert sorted(listed) == sorted(folders)
    for part in PARTS:
        assert (COMPONENTS / part / "README.md").read_text().startswith("# "), part
