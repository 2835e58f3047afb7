"""The overlays on a real control plane: strict validation, scheduling, and the way back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.k8s.k8s_cluster import Cluster
from tests.k8s.k8s_manifests import ROOT, SPARK, Overlay, identity, overlay

NAMESPACE = "logsluice"
SYSTEM = "logsluice.io/node-group=system"
# What the control plane writes into an object by itself.
PASSING = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "annotations")


def _objects(cluster: Cluster, manifests: Overlay) -> dict[str, Any]:
    """What the cluster has of an overlay, without what it says of its state."""
    found = [
        item
        for namespace in (NAMESPACE, SPARK)
        for item in json.loads(
            cluster.kubectl("get", "-n", namespace, "-o", "json", *_names(manifests, namespace)).stdout
        )["items"]
    ]
    for item in found:
        item.pop("status", None)
        for key in PASSING:
            item["metadata"].pop(key, None)
    return {identity(item): item for item in found}


def _names(manifests: Overlay, namespace: str) -> list[str]:
    """Every object of a namespace, itself included, by kind, version, group and name, as kubectl wants them."""
    names = []
    for item in manifests.objects:
        if item["metadata"].get("namespace", item["metadata"]["name"]) != namespace:
            continue
        group, _, version = item["apiVersion"].rpartition("/")
        names.append(f"{item['kind']}.{version}.{group}/{item['metadata']['name']}")
    return names


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("dev", ()),
        ("prod", ()),
        pytest.param("prod", ("--server-side",), marks=pytest.mark.long),
        pytest.param("dev-aws", (), marks=pytest.mark.long),
    ],
    ids=["dev", "prod", "prod, server-side", "dev-aws"],
)
def test_an_overlay_applies_stays_runs_and_goes(cluster: Cluster, name: str, how: tuple[str, ...]) -> None:
    manifests = overlay(name)
    folder = ROOT / "k8s" / "overlays" / name
    try:
        applied = cluster.kubectl("apply", "--validate=strict", *how, "-k", folder).stdout.splitlines()
        assert len(applied) == len(manifests.objects)
        scaled = {
            entry["metadata"]["name"]: entry["spec"] for entry in manifests.of("HorizontalPodAutoscaler").values()
        }
        for deployment, spec in scaled.items():
            least = f"--for=jsonpath={{.spec.replicas}}={spec['minReplicas']}"
            cluster.kubectl("wait", "-n", NAMESPACE, least, f"deployment/{deployment}", "--timeout=90s")
        for deployment in manifests.of("Deployment"):
            cluster.kubectl("rollout", "status", "-n", NAMESPACE, f"deployment/{deployment}", "--timeout=90s")
        running = cluster.get("pods", "-n", NAMESPACE)["items"]
        replicas = sum(item["spec"].get("replicas", 0) for item in manifests.of("Deployment").values())
        replicas += sum(spec["minReplicas"] for spec in scaled.values())
        assert len(running) == replicas
        system = {item["metadata"]["name"] for item in cluster.get("nodes", "-l", SYSTEM)["items"]}
        assert {pod["spec"]["nodeName"] for pod in running} <= system

        before = _objects(cluster, manifests)
        assert before.keys() == {identity(item) for item in manifests.objects}
        cluster.kubectl("apply", "--validate=strict", *how, "-k", folder)
        assert _objects(cluster, manifests) == before
        assert cluster.kubectl("diff", *how, "-k", folder, check=False).returncode == 0
    finally:
        cluster.kubectl("delete", "--ignore-not-found", "--wait", "-k", folder)
    for namespace in (NAMESPACE, SPARK):
        assert cluster.kubectl("get", "--ignore-not-found", "-n", namespace, *_names(manifests, namespace)).stdout == ""
