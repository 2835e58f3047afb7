"""Our values against the charts' own sources: LOGSLUICE_CHARTS names a folder with them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s.helm_charts import chart, defaults, in_namespace, release, rendered, unknown
from tests.k8s.helm_values import BY_STACK, HELM, RELEASES, leaves, own_values, values
from tests.k8s.k8s_cluster import Cluster
from tests.shared.shared_folder import tool

pytestmark = pytest.mark.charts

WEBHOOKS: dict[str, Any] = yaml.safe_load((HELM / "webhooks-ignore.yaml").read_text())
OUTSIDE = {"prometheus-node-exporter": "reads the host's own files and network"}
"""Pods that can't meet Pod Security `restricted`, and why."""


def templates(name: str, stack: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The pods of a release's own workloads."""
    for item in rendered(name, stack):
        if item["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
            yield item["metadata"]["name"], item["spec"]["template"]["spec"]


def kinds(name: str, stack: str) -> dict[tuple[str, str], dict[str, Any]]:
    return {(item["kind"], item["metadata"]["name"]): item for item in rendered(name, stack)}


@pytest.mark.parametrize(("name", "stack"), BY_STACK)
def test_the_chart_knows_every_key_that_we_set(name: str, stack: str) -> None:
    assert list(unknown(name, values(name, stack))) == []


@pytest.mark.parametrize(("name", "stack"), BY_STACK)
def test_no_value_says_what_the_chart_says_anyway(name: str, stack: str) -> None:
    known = {leaf.path: leaf.value for leaf in leaves(defaults(chart(name)))}
    for leaf in leaves(values(name, stack)):
        assert known.get(leaf.path, object()) != leaf.value, f"{name}/{stack}: {'.'.join(leaf.path)}"


def test_a_key_that_no_chart_knows_is_found() -> None:
    odd = {"grafana": {"servce": {"type": "NodePort"}}, "prometheus": {"prometheusSpec": {"retentoin": "1d"}}}
    assert sorted(unknown("kube-prometheus-stack", odd)) == [
        "kube-prometheus-stack.grafana.servce",
        "kube-prometheus-stack.prometheus.prometheusSpec.retentoin",
    ]


@pytest.mark.parametrize(("name", "stack"), BY_STACK)
def test_the_chart_renders(name: str, stack: str) -> None:
    objects = rendered(name, stack)
    assert objects
    assert all(item["metadata"]["name"] for item in objects)


@pytest.mark.parametrize(("name", "stack"), BY_STACK)
def test_every_container_asks_for_resources_and_is_hardened(name: str, stack: str) -> None:
    for owner, spec in templates(name, stack):
        pod = spec.get("securityContext") or {}
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            where = f"{owner}/{container['name']}"
            for kind in ("requests", "limits"):
                assert {"cpu", "memory"} <= set((container.get("resources") or {}).get(kind, {})), f"{where}: {kind}"
            own = container.get("securityContext") or {}
            assert own.get("allowPrivilegeEscalation") is False, where
            assert own.get("readOnlyRootFilesystem") is True, where
            if any(owner.endswith(known) for known in OUTSIDE):
                continue
            assert own["capabilities"]["drop"] == ["ALL"], where
            assert own.get("runAsNonRoot", pod.get("runAsNonRoot")) is True, where
            assert (own.get("seccompProfile") or pod.get("seccompProfile")) == {"type": "RuntimeDefault"}, where
            image = container["image"].partition("@")[0].rpartition("/")[2]
            assert image.partition(":")[2] not in ("", "latest"), f"{where}: {container['image']}"


def _definitions() -> dict[tuple[str, str], dict[str, Any]]:
    """The schemas of every custom resource that a release defines."""
    found = {}
    for name, stack in BY_STACK:
        if stack != "prod":
            continue
        for item in rendered(name, stack):
            if item["kind"] == "CustomResourceDefinition":
                for version in item["spec"]["versions"]:
                    key = (f"{item['spec']['group']}/{version['name']}", item["spec"]["names"]["kind"])
                    found[key] = version["schema"]["openAPIV3Schema"]
    return found


def _closed(schema: Any) -> Any:
    """A schema in which a key that it does not name is a mistake, as for an API server with strict validation."""
    if isinstance(schema, list):
        return [_closed(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if schema.get("x-kubernetes-int-or-string"):
        closed.pop("type", None)
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    return closed


@pytest.mark.parametrize("stack", ["dev", "prod", "local"])
def test_custom_resources_are_as_their_definitions_say(stack: str, tmp_path: Path) -> None:
    definitions = _definitions()
    custom = [
        item
        for name, its in BY_STACK
        if its == stack
        for item in rendered(name, stack)
        if (item["apiVersion"], item["kind"]) in definitions
    ]
    assert {"Elasticsearch", "Kibana", "Logstash", "Prometheus", "ServiceMonitor", "Certificate"} <= {
        item["kind"] for item in custom
    }
    for (api_version, kind), schema in definitions.items():
        root = _closed(schema)
        root["properties"] = root.get("properties", {}) | {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {},
        }
        group, _, version = api_version.partition("/")
        (tmp_path / f"{kind}_{group}_{version}.json".lower()).write_text(json.dumps(root))
    objects = tmp_path / "objects.yaml"
    objects.write_text(yaml.safe_dump_all(custom))
    location = f"{tmp_path}/{{{{ .ResourceKind }}}}_{{{{ .Group }}}}_{{{{ .ResourceAPIVersion }}}}.json"
    done = subprocess.run(
        [tool("kubeconform"), "-strict", "-summary", "-schema-location", location, str(objects)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Valid: {len(custom)}" in done.stdout


@pytest.mark.parametrize("name", sorted(WEBHOOKS))
def test_webhooks_let_through_what_they_cannot_be_asked_about(name: str) -> None:
    """cert-manager's chart has no such value: its webhook is not asked about our namespaces."""
    for item in rendered(name, "prod", more=json.dumps(WEBHOOKS[name])):
        for hook in item.get("webhooks", []):
            if name != "cert-manager":
                assert hook["failurePolicy"] == "Ignore", hook["name"]
            elif item["kind"] == "ValidatingWebhookConfiguration":
                [rule] = hook["namespaceSelector"]["matchExpressions"][-1:]
                assert (rule["operator"], rule["values"]) == ("NotIn", ["logsluice", "logsluice-spark", "monitoring"])


def test_webhooks_refuse_by_default() -> None:
    refusing = {
        name
        for name, stack in BY_STACK
        if stack == "prod"
        for item in rendered(name, stack)
        for hook in item.get("webhooks", [])
        if hook["failurePolicy"] == "Fail"
    }
    assert refusing == set(WEBHOOKS)


def test_the_first_eck_stack_is_not_refused_by_a_webhook_that_is_not_up_yet(request: pytest.FixtureRequest) -> None:
    webhooks = [item for item in rendered("eck-operator", "prod") if item["kind"] == "ValidatingWebhookConfiguration"]
    assert webhooks
    items = [item for item in rendered("eck-stack", "prod") if "k8s.elastic.co" in item["apiVersion"]]
    cluster: Cluster = request.getfixturevalue("cluster")
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "logsluice"}}
    text = yaml.safe_dump_all([space, *webhooks])
    cluster.kubectl("apply", "-f", "-", stdin=text)
    try:
        custom = yaml.safe_dump_all(in_namespace(item, "logsluice") for item in items)
        done = cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=custom)
        assert len(done.stdout.splitlines()) == len(items) == 3
    finally:
        cluster.kubectl("delete", "--wait", "-f", "-", stdin=text)


def test_the_autoscaler_runs_as_who_may_scale() -> None:
    objects = kinds("cluster-autoscaler", "prod")
    assert ("ServiceAccount", "cluster-autoscaler") in objects
    spec = objects["Deployment", "cluster-autoscaler"]["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == "cluster-autoscaler"
    assert "k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/logsluice-dev" in " ".join(
        spec["containers"][0]["command"]
    )


@pytest.mark.parametrize("name", ["kube-prometheus-stack", "traefik"])
def test_nobody_but_operators_reads_secrets_of_the_whole_cluster(name: str) -> None:
    for item in rendered(name, "prod"):
        if item["kind"] == "ClusterRole" and item["metadata"]["name"] != "kube-prometheus-stack-operator":
            for rule in item["rules"]:
                assert "secrets" not in rule.get("resources", []), item["metadata"]["name"]


def test_grafanas_password_is_made_up_and_not_in_any_file() -> None:
    def password() -> str:
        found: str = kinds("kube-prometheus-stack", "prod")["Secret", "kube-prometheus-stack-grafana"]["data"][
            "admin-password"
        ]
        return found

    first = password()
    rendered.cache_clear()
    assert len(first) >= 40
    assert first != password()
    assert "adminPassword" not in own_values("kube-prometheus-stack")["grafana"]


@pytest.fixture(scope="module")
def prepared(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The cluster with every definition and namespace of the releases; nothing of theirs stays."""
    chart(RELEASES[0]["name"])  # skips before a cluster is started for nothing
    cluster: Cluster = request.getfixturevalue("cluster")
    there = set(cluster.kubectl("get", "crds,namespaces", "-o", "name").stdout.split())
    definitions = {
        item["metadata"]["name"]: item
        for name, stack in BY_STACK
        for item in rendered(name, stack)
        if item["kind"] == "CustomResourceDefinition"
    }
    missing = [
        item
        for name, item in definitions.items()
        if f"customresourcedefinition.apiextensions.k8s.io/{name}" not in there
    ]
    spaces = sorted({entry["namespace"] for entry in RELEASES if f"namespace/{entry['namespace']}" not in there})
    missing += [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": space, "labels": {"pod-security.kubernetes.io/warn": "restricted"}},
        }
        for space in spaces
    ]
    text = yaml.safe_dump_all(missing)
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=text)
    cluster.kubectl("wait", "--for=condition=Established", "crds", "--all", "--timeout=60s")
    yield cluster
    cluster.kubectl("delete", "--wait=false", "-f", "-", stdin=text)


@pytest.mark.parametrize(("name", "stack"), BY_STACK)
def test_the_control_plane_accepts_every_object(prepared: Cluster, name: str, stack: str) -> None:
    """With strict validation; and no pod would break Pod Security `restricted`, but for the one that is known to."""
    items = [in_namespace(item, release(name)["namespace"]) for item in rendered(name, stack)]
    items = [item for item in items if item["kind"] != "CustomResourceDefinition"]
    done = prepared.kubectl(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"),
        stdin=yaml.safe_dump_all(items),
    )
    assert len(done.stdout.splitlines()) == len(items)
    violations = [line for line in done.stderr.splitlines() if "would violate PodSecurity" in line]
    assert len(violations) == (1 if name == "kube-prometheus-stack" else 0), violations
    assert all("host namespaces" in line for line in violations)


def test_pod_monitors_of_other_releases_find_their_pods_and_ports() -> None:
    monitors = {
        item["metadata"]["name"]: item["spec"]
        for item in rendered("kube-prometheus-stack", "prod")
        if item["kind"] == "PodMonitor"
    }
    releases = {"cert-manager": "cert-manager", "spark-operator": "spark-operator"}
    releases["strimzi-cluster-operator"] = "strimzi-kafka-operator"
    for monitor, name in releases.items():
        spec = next(spec for key, spec in monitors.items() if key.endswith(monitor))
        wanted, port = spec["selector"]["matchLabels"], spec["podMetricsEndpoints"][0]["port"]
        matching = [
            item["spec"]["template"]
            for item in rendered(name, "prod")
            if item["kind"] == "Deployment" and wanted.items() <= item["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert matching, monitor
        for template in matching:
            assert port in {entry["name"] for entry in template["spec"]["containers"][0]["ports"]}, monitor
