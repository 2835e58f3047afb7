"""What Prometheus' real operator makes of our monitors and rules: the configuration that Prometheus gets."""

from __future__ import annotations

import base64
import gzip
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s.helm_values import values
from tests.k8s.k8s_cluster import Cluster
from tests.k8s.k8s_manifests import OVERLAYS, Object, Overlay, overlay
from tests.shared.shared_folder import tool

NAMESPACE = "monitoring"
NAME = "kube-prometheus-stack-prometheus"
MONITORS = {"ServiceMonitor": "serviceMonitor", "PodMonitor": "podMonitor"}


def _prometheus(stack: str) -> Object:
    """The resource as far as it says what is read.

    As kube-prometheus-stack 88.5.3 makes it, ``templates/prometheus/prometheus.yaml``: a selector is that of the
    values, else the release's label, unless the values turn that off.
    """
    given = values("kube-prometheus-stack", stack)["prometheus"]["prometheusSpec"]
    spec: Object = {"serviceAccountName": "default", "version": "v3.5.0", "replicas": 1}
    for what in ("serviceMonitor", "podMonitor", "probe", "scrapeConfig", "rule"):
        of_release = {"matchLabels": {"release": "kube-prometheus-stack"}}
        nil_uses_label = given.get(f"{what}SelectorNilUsesHelmValues", True)
        spec[f"{what}Selector"] = given.get(f"{what}Selector") or (of_release if nil_uses_label else {})
        spec[f"{what}NamespaceSelector"] = given.get(f"{what}NamespaceSelector", {})
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "Prometheus",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": spec,
    }


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _eventually(read: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    until = time.monotonic() + 60
    while not wanted(found := read()) and time.monotonic() < until:
        time.sleep(1)
    return found


@pytest.fixture(scope="module", params=OVERLAYS)
def watched(
    request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: Any
) -> Iterator[tuple[Overlay, Cluster]]:
    """An overlay's monitors and rules beside a Prometheus, and the operator at work, as administrator."""
    manifests = overlay(request.param)
    kinds = {*MONITORS, "PrometheusRule", "Namespace"}
    ours = [item for item in manifests.objects if item["kind"] in kinds]
    ours.sort(key=lambda item: item["kind"] != "Namespace")
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    text = yaml.safe_dump_all([space, *ours, _prometheus("prod" if manifests.environment == "prod" else "dev")])
    command = [
        tool("prometheus-operator"),
        f"--web.listen-address=127.0.0.1:{_port()}",
        f"--namespaces={NAMESPACE},logsluice,logsluice-spark",
    ]
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    try:
        cluster.kubectl("apply", "--validate=strict", "-f", "-", stdin=text)
        with Path(log).open("wb") as output:
            running = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
            try:
                yield manifests, cluster
                assert running.poll() is None, Path(log).read_text()[-4000:]
            finally:
                running.terminate()
                running.wait(timeout=60)
    finally:
        cluster.kubectl("delete", "--ignore-not-found", "--wait", "-f", "-", stdin=text)


def _jobs(cluster: Cluster) -> set[str]:
    """The names of the scrape configurations, ``<kind>/<namespace>/<name>/<endpoint>``."""
    found = cluster.kubectl("get", "secret", f"prometheus-{NAME}", "-n", NAMESPACE, "-o", "yaml", check=False)
    if found.returncode:
        return set()
    packed = base64.b64decode(yaml.safe_load(found.stdout)["data"]["prometheus.yaml.gz"])
    configuration = yaml.safe_load(gzip.decompress(packed))
    return {job["job_name"] for job in configuration.get("scrape_configs") or []}


def test_every_endpoint_of_every_monitor_is_scraped(watched: tuple[Overlay, Cluster]) -> None:
    manifests, cluster = watched
    wanted = set()
    for item in manifests.objects:
        if item["kind"] in MONITORS:
            spec, meta = item["spec"], item["metadata"]
            count = len(spec.get("podMetricsEndpoints") or spec["endpoints"])
            wanted |= {f"{MONITORS[item['kind']]}/{meta['namespace']}/{meta['name']}/{i}" for i in range(count)}
    assert len(wanted) > 5
    assert _eventually(lambda: _jobs(cluster), lambda jobs: jobs >= wanted) == wanted


def _groups(cluster: Cluster) -> set[str]:
    maps = cluster.get("configmaps", "-n", NAMESPACE, "-l", f"prometheus-name={NAME}")["items"]
    files = [yaml.safe_load(text) for item in maps for text in item.get("data", {}).values()]
    return {group["name"] for file in files for group in file["groups"]}


def test_every_group_of_rules_is_read(watched: tuple[Overlay, Cluster]) -> None:
    manifests, cluster = watched
    rules = [item for item in manifests.objects if item["kind"] == "PrometheusRule"]
    wanted = {group["name"] for item in rules for group in item["spec"]["groups"]}
    assert wanted
    assert _eventually(lambda: _groups(cluster), lambda groups: groups >= wanted) == wanted
