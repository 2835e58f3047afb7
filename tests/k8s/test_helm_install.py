"""`make releases` with real helm on a real control plane; the charts are ours, and tell which values reached them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.k8s.helm_values import RELEASES, values
from tests.k8s.k8s_cluster import Cluster
from tests.k8s.k8s_manifests import ROOT
from tests.shared.shared_folder import tool

LOCAL = [release for release in RELEASES if "local" in release["stacks"]]
CONFIG_MAP = """apiVersion: v1
kind: ConfigMap
metadata: {name: of-{{ .Release.Name }}}
data: {values: {{ .Values | toJson | quote }}}
"""


def _make(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(tool('helm')).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, "-m", "logsluice_infra.install", *arguments],
        env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "PATH": path},
        cwd=ROOT / "infra",
        capture_output=True,
        text=True,
        timeout=300,
    )


def _charts(folder: Path) -> None:
    for release in LOCAL:
        chart = folder / release["chart"]
        (chart / "templates").mkdir(parents=True)
        (chart / "Chart.yaml").write_text(f"apiVersion: v2\nname: {release['chart']}\nversion: 1.0.0\n")
        (chart / "templates" / "config_map.yaml").write_text(CONFIG_MAP)


def test_every_release_is_installed_in_order_with_its_values_and_again(cluster: Cluster, tmp_path: Path) -> None:
    _charts(tmp_path)
    spaces = sorted({release["namespace"] for release in LOCAL})
    try:
        for _ in range(2):
            done = _make(cluster, "--charts", str(tmp_path))
            assert done.returncode == 0, done.stdout + done.stderr
        created = {
            release["name"]: cluster.get("configmap", "-n", release["namespace"], f"of-{release['name']}")
            for release in LOCAL
        }
        for name, item in created.items():
            assert json.loads(item["data"]["values"]) == values(name, "local")
        made = sorted(created, key=lambda name: int(created[name]["metadata"]["resourceVersion"]))
        for release in LOCAL:
            for need in set(release.get("after", ())) & created.keys():
                assert made.index(need) < made.index(release["name"])
        labels = cluster.get("namespace", "logsluice")["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    finally:
        cluster.kubectl("delete", "namespace", "--ignore-not-found", "--wait", *spaces)


def test_a_release_that_fails_is_told_in_a_line(cluster: Cluster, tmp_path: Path) -> None:
    _charts(tmp_path)
    first = tmp_path / LOCAL[0]["chart"] / "templates" / "config_map.yaml"
    first.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "NoSuchKind", "metadata": {"name": "x"}}))
    try:
        done = _make(cluster, "--charts", str(tmp_path))
        assert done.returncode == 1
        assert "NoSuchKind" in done.stderr
        assert done.stderr.splitlines()[-1].startswith(f"helm upgrade --install {LOCAL[0]['name']}: ended with 1")
        assert "Traceback" not in done.stderr
    finally:
        cluster.kubectl("delete", "namespace", "--ignore-not-found", "--wait", "logsluice", LOCAL[0]["namespace"])


def test_a_folder_without_the_chart_is_told_before_anything_is_done(cluster: Cluster, tmp_path: Path) -> None:
    done = _make(cluster, "--charts", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith(f"logsluice:charts: {tmp_path} has no chart {LOCAL[0]['chart']}")
    assert not cluster.kubectl("get", "namespace", "--ignore-not-found", "logsluice").stdout
