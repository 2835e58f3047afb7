"""What a change of configuration does to a running platform: it is taken, and whatever reads it starts anew."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.k8s.k8s_cluster import Cluster
from tests.k8s.k8s_manifests import ROOT, Object, Overlay, identity, kustomize, overlay


def _another_pattern(folder: Path) -> None:
    path = folder / "config" / "dev" / "patterns.yaml"
    path.write_text(path.read_text() + "# changed\n")


def _another_bucket(folder: Path) -> None:
    path = folder / "k8s" / "base" / "environment" / "environment.env"
    path.write_text(path.read_text().replace("logsluice-bucket", "another-bucket"))


def _another_image(folder: Path) -> None:
    path = folder / "k8s" / "overlays" / "dev-aws" / "kustomization.yaml"
    before = path.read_text()
    path.write_text(before.replace("newTag: ", "newTag: 9."))
    assert path.read_text() != before


CHANGES: dict[Callable[[Path], None], str] = {
    # what is changed: the name of the ConfigMap that is read, or nothing where everybody's image is another
    _another_pattern: "logsluice-config",
    _another_bucket: "logsluice-environment",
    _another_image: "",
}


def _changed(change: Callable[[Path], None], folder: Path) -> Path:
    for name in ("config", "k8s"):
        shutil.copytree(ROOT / name, folder / name)
    change(folder)
    return folder / "k8s" / "overlays" / "dev-aws"


def _render(folder: Path) -> Overlay:
    done = subprocess.run([*kustomize(), str(folder)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return Overlay("dev-aws", tuple(yaml.safe_load_all(done.stdout)))


def _pods(manifests: Overlay) -> dict[str, Object]:
    return {pods.owner: pods.template for pods in manifests.templates()}


@pytest.mark.parametrize("change", CHANGES)
def test_whoever_reads_what_was_changed_starts_anew(change: Callable[[Path], None], tmp_path: Path) -> None:
    before, after = overlay("dev-aws"), _render(_changed(change, tmp_path))
    read = CHANGES[change]
    old, new = _pods(before), _pods(after)
    assert old.keys() == new.keys()
    readers = {
        owner
        for owner, template in old.items()
        if (f'"{read}-' if read else '"image": "logsluice:') in json.dumps(template)
    }
    assert readers >= {"Deployment/alerts-job", "Deployment/app-service", "Deployment/api", "Deployment/setup"}
    assert {owner for owner in old if old[owner] != new[owner]} == readers
    if read == "logsluice-environment":
        assert {"SparkApplication/windows-job driver", "SparkApplication/producer-job driver"} <= readers
    # A Job, once made, refuses it.
    assert not [identity(item) for item in before.objects if item["kind"] == "Job"]


def test_the_cluster_takes_every_change_where_all_is_running(cluster: Cluster, tmp_path: Path) -> None:
    folder = ROOT / "k8s" / "overlays" / "dev-aws"
    try:
        cluster.kubectl("apply", "-k", folder)
        cluster.kubectl("rollout", "status", "-n", "logsluice", "deployment/setup", "--timeout=90s")
        for change in CHANGES:
            cluster.kubectl("apply", "-k", _changed(change, tmp_path / change.__name__))
            cluster.kubectl("rollout", "status", "-n", "logsluice", "deployment/setup", "--timeout=90s")
    finally:
        cluster.kubectl("delete", "--ignore-not-found", "--wait", "-k", folder)
