"""ECK's real operator beside a control plane, and the resources that the release eck-stack gives it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.k8s.helm_values import own_values, values
from tests.k8s.k8s_cluster import Cluster
from tests.shared.shared_folder import tool

Object = dict[str, Any]

NAMESPACE = "logsluice"
OPERATORS_NAMESPACE = "elastic-system"
PARTS = {
    "elasticsearch": ("elasticsearch.k8s.elastic.co/v1", "Elasticsearch"),
    "kibana": ("kibana.k8s.elastic.co/v1", "Kibana"),
    "logstash": ("logstash.k8s.elastic.co/v1alpha1", "Logstash"),
}
# Keys of the charts' values that are no fields of a resource's spec.
OF_THE_CHART = frozenset({"enabled", "fullnameOverride", "ingress"})
# Objects of the release that the operator needs; the others are cert-manager's and Traefik's.
NEEDED = ("elasticsearch", "logstash", "roles", "users")
# Kinds that nobody here uses; the operator ends where it cannot watch them.
OTHER_KINDS = (
    ("agent.k8s.elastic.co/v1alpha1", "Agent", "agents"),
    ("apm.k8s.elastic.co/v1", "ApmServer", "apmservers"),
    ("autoops.k8s.elastic.co/v1alpha1", "AutoOpsAgentPolicy", "autoopsagentpolicies"),
    ("enterprisesearch.k8s.elastic.co/v1", "EnterpriseSearch", "enterprisesearches"),
    ("maps.k8s.elastic.co/v1alpha1", "ElasticMapsServer", "elasticmapsservers"),
    ("packageregistry.k8s.elastic.co/v1alpha1", "PackageRegistry", "packageregistries"),
)


def elastic_resources(stack: str) -> list[Object]:
    """Elasticsearch, Kibana and Logstash as the chart makes them of our values: key by key what the spec has.

    As in elastic/cloud-on-k8s v3.5.0, ``deploy/eck-stack/charts/eck-<part>/templates/<part>.yaml``. With the charts'
    sources at hand, ``test_k8s_eck.py`` holds this against what they render.
    """
    found = []
    for part, (version, kind) in PARTS.items():
        given = values("eck-stack", stack)[f"eck-{part}"]
        spec = {key: value for key, value in given.items() if key not in OF_THE_CHART}
        if part != "elasticsearch":
            spec.setdefault("count", 1)
        metadata = {"name": given["fullnameOverride"], "namespace": NAMESPACE}
        found.append({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})
    return found


def other_objects(stack: str, folder: Path) -> str:
    """Accounts, users and roles of the release as YAML, rendered as the chart renders them: by Helm's ``tpl``."""
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: objects\nversion: 1.0.0\n")
    calls = "\n---\n".join(f"{{{{ tpl .Values.extraObjects.{name} $ }}}}" for name in NEEDED)
    (folder / "templates" / "objects.yaml").write_text(calls)
    done = subprocess.run(
        [tool("helm"), "template", "eck-stack", folder, "--namespace", NAMESPACE, "--values", "-"],
        input=yaml.safe_dump(values("eck-stack", stack)),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _definition(api_version: str, kind: str, plural: str) -> Object:
    group, _, version = api_version.partition("/")
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural},
            "scope": "Namespaced",
            "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
        },
    }


@contextmanager
def eck_operator(cluster: Cluster, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The operator at work with the settings of its release, as administrator; nothing of it stays.

    Its log is ``eck.log`` in the folder.
    """
    own = own_values("eck-operator")
    settings = {
        "namespaces": own["managedNamespaces"],
        "operator-namespace": OPERATORS_NAMESPACE,
        "set-default-security-context": own["config"]["setDefaultSecurityContext"],
        "disable-telemetry": True,
        # As one process beside the cluster, which nobody asks for metrics or about objects.
        "enable-leader-election": False,
        "enable-webhook": False,
        "metrics-port": 0,
    }
    config = folder / "eck.yaml"
    config.write_text(yaml.safe_dump(settings))
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OPERATORS_NAMESPACE}}
    needed = yaml.safe_dump_all([space, *(_definition(*other) for other in OTHER_KINDS)])
    cluster.kubectl("apply", "-f", "-", stdin=needed)
    try:
        cluster.kubectl("wait", "--for=condition=Established", "crds", "--all", "--timeout=60s")
        environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
        command = [tool("eck"), "manager", "--config", str(config)]
        with (folder / "eck.log").open("wb") as log:
            running = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
            try:
                yield running
            finally:
                running.terminate()
                running.wait(timeout=60)
    finally:
        cluster.kubectl("delete", "--wait", "-f", "-", stdin=needed)
