"""The real Spark operator on the control plane, with our applications and no more than its own rights.

It is kubeflow/spark-operator 2.5.2, which submits with the Spark that LOGSLUICE_TEST_SPARK_HOME names (its image has
4.0.4), else with ours: 4.2.0 is what its next version brings. Its webhook does not run: nothing may hang on it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import yaml

from logsluice.jvm.java import spark_home
from tests.k8s import helm_values
from tests.k8s.k8s_cluster import Cluster
from tests.k8s.k8s_manifests import SPARK, rendered
from tests.shared.shared_folder import tool

pytestmark = pytest.mark.tools

SPACE = "spark-operator"
ACCOUNT = "spark-operator-controller"
JOB = "producer-job"
DRIVER = f"{JOB}-driver"
LOGSLUICE = Path(sys.executable).with_name("logsluice")

# charts/spark-operator-chart/templates/controller/_helpers.tpl, spark-operator.controller.policyRules, of v2.5.2.
RIGHTS: list[tuple[str, list[str], list[str]]] = [
    ("", ["pods"], ["get", "list", "watch", "create", "update", "delete"]),
    ("", ["configmaps"], ["get", "list", "watch", "create", "update", "patch"]),
    ("", ["services"], ["get", "list", "watch", "create", "update", "patch", "delete"]),
    ("", ["events"], ["create", "update", "patch"]),
    ("networking.k8s.io", ["ingresses"], ["get", "create", "update", "delete"]),
    ("sparkoperator.k8s.io", ["sparkapplications"], ["get", "list", "watch", "create", "delete"]),
    ("sparkoperator.k8s.io", ["scheduledsparkapplications", "sparkconnects"], ["get", "list", "watch"]),
    (
        "sparkoperator.k8s.io",
        ["sparkapplications/status", "sparkconnects/status", "scheduledsparkapplications/status"],
        ["update"],
    ),
    (
        "sparkoperator.k8s.io",
        ["sparkapplications/finalizers", "scheduledsparkapplications/finalizers", "sparkconnects/finalizers"],
        ["update"],
    ),
]


def _installed() -> list[dict[str, Any]]:
    """What the chart makes that matters here: the account with its rights, and the webhook, which nobody answers."""
    rules = [{"apiGroups": [group], "resources": resources, "verbs": verbs} for group, resources, verbs in RIGHTS]
    rbac = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": SPACE}
    # templates/webhook/mutatingwebhookconfiguration.yaml of v2.5.2, with the policy of our values.
    webhook = {
        "name": "mutate--v1-pod.sparkoperator.k8s.io",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": "https://127.0.0.1:9/mutate--v1-pod"},
        "sideEffects": "None",
        "failurePolicy": helm_values.values("spark-operator", "dev")["webhook"].get("failurePolicy", "Fail"),
        "namespaceSelector": {
            "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": [SPARK]}]
        },
        "objectSelector": {"matchLabels": {"sparkoperator.k8s.io/launched-by-spark-operator": "true"}},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}],
        "timeoutSeconds": 10,
    }
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": SPACE}},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {"name": ACCOUNT, "namespace": SPARK}, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": ACCOUNT, "namespace": SPARK},
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": ACCOUNT},
            "subjects": [subject],
        },
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "spark-operator-webhook"},
            "webhooks": [webhook],
        },
    ]


def _picked() -> str:
    """One job, as the documentation says how."""
    done = subprocess.run(
        [LOGSLUICE, "manifest", JOB], input=rendered("dev"), capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


@pytest.fixture
def platform(cluster: Cluster) -> Iterator[Cluster]:
    """A cluster with the operator's definitions and nothing of ours."""
    try:
        yield cluster
    finally:
        cluster.kubectl("delete", "mutatingwebhookconfiguration", "spark-operator-webhook", "--ignore-not-found")
        cluster.kubectl("delete", "namespace", SPARK, SPACE, "--ignore-not-found", "--wait")


@pytest.fixture
def operator(platform: Cluster, tmp_path: Path) -> Iterator[Cluster]:
    platform.kubectl("create", "namespace", SPARK)
    platform.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(_installed()))
    account = platform.as_account(SPACE, ACCOUNT, tmp_path)
    server = urlsplit(yaml.safe_load(account.kubeconfig.read_text())["clusters"][0]["cluster"]["server"])
    log = tmp_path / "operator.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                tool("spark-operator"), "controller", "start", f"--namespaces={SPARK}", "--leader-election=false",
                "--health-probe-bind-address=0", f"--kubeconfig={account.kubeconfig}",
            ],
            env={
                **os.environ,
                "KUBECONFIG": str(account.kubeconfig),
                "KUBERNETES_SERVICE_HOST": str(server.hostname),
                "KUBERNETES_SERVICE_PORT": str(server.port),
                "SPARK_HOME": os.environ.get("LOGSLUICE_TEST_SPARK_HOME") or str(spark_home()),
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield platform
    finally:
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        process.wait(30)
        for child in children:
            if child.is_running():
                child.kill()


def _soon(cluster: Cluster, question: Callable[[], Any], tmp_path: Path, seconds: float = 150) -> Any:
    end = time.monotonic() + seconds
    while not (answer := question()):
        state = cluster.kubectl("get", "sparkapplication", JOB, "-n", SPARK, "-o", "yaml", check=False).stdout
        assert "FAILED" not in state or "SUBMISSION" in state, state
        log_tail = (tmp_path / "operator.log").read_text()[-3000:]
        assert time.monotonic() < end, f"{state}\n{log_tail}"
        time.sleep(1)
    return answer


def _driver(cluster: Cluster, other_than: str = "") -> dict[str, Any] | None:
    found = cluster.kubectl("get", "pod", DRIVER, "-n", SPARK, "-o", "yaml", "--ignore-not-found").stdout
    pod: dict[str, Any] | None = yaml.safe_load(found) if found else None
    return pod if pod and pod["metadata"]["uid"] != other_than else None


def _application(cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] = cluster.get("sparkapplication", JOB, "-n", SPARK)
    return found


def _started(cluster: Cluster, tmp_path: Path) -> str:
    """What the image's entrypoint does before a driver, with the driver's rights."""
    (tmp_path / "namespace").write_text(SPARK)
    program = (
        "import pathlib, logsluice.kubernetes.entrypoint as entrypoint;"
        f"entrypoint._NAMESPACE = pathlib.Path({str(tmp_path / 'namespace')!r});"
        "entrypoint._clear_orphans()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "KUBECONFIG": str(cluster.as_account(SPARK, "spark-driver", tmp_path).kubeconfig)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stderr


def test_one_rendered_job_starts_and_changes_nothing_where_it_runs(operator: Cluster, tmp_path: Path) -> None:
    """With rights that know no NetworkPolicy, and a webhook that does not answer."""
    operator.kubectl("apply", "--validate=strict", "-f", "-", stdin=_picked())
    driver = _soon(operator, lambda: _driver(operator), tmp_path)
    assert not operator.get("networkpolicies", "-n", SPARK)["items"]
    before = _application(operator)["metadata"]
    again = operator.kubectl("apply", "--validate=strict", "-f", "-", stdin=_picked()).stdout
    assert {line.rpartition(" ")[2] for line in again.splitlines()} == {"unchanged"}
    # The whole overlay is the same again for what was applied alone.
    folder = Path(__file__).parents[2] / "k8s" / "overlays" / "dev"
    try:
        operator.kubectl("apply", "--validate=strict", "-k", folder)
        time.sleep(5)
        after = _application(operator)["metadata"]
        assert (after["uid"], after["generation"]) == (before["uid"], before["generation"])
        running = _driver(operator)
        assert running is not None
        assert running["metadata"]["uid"] == driver["metadata"]["uid"]
    finally:
        operator.kubectl("delete", "--ignore-not-found", "--wait", "-k", folder)


def test_executors_of_a_driver_that_was_killed_are_cleared_away(operator: Cluster, tmp_path: Path) -> None:
    operator.kubectl("apply", "-f", "-", stdin=_picked())
    killed = _soon(operator, lambda: _driver(operator), tmp_path)
    (volume,) = (item for item in killed["spec"]["volumes"] if item["name"] == "pod-template-volume")
    name = volume["configMap"]["name"]
    command = ("get", "configmap", name, "-n", SPARK, "-o", "yaml", "--ignore-not-found")
    (text,) = yaml.safe_load(_soon(operator, lambda: operator.kubectl(*command).stdout, tmp_path))["data"].values()
    executor = {"apiVersion": "v1", "kind": "Pod", **yaml.safe_load(text)}
    # What Spark adds to it (4.2.0, KubernetesExecutorBuilder and BasicExecutorFeatureStep), as far as it matters here.
    owner = {"apiVersion": "v1", "kind": "Pod", "name": DRIVER, "uid": killed["metadata"]["uid"], "controller": True}
    executor["metadata"].setdefault("ownerReferences", []).append(owner)
    executor["metadata"]["name"] = "orphan"
    executor["metadata"]["labels"]["spark-role"] = "executor"
    for container in executor["spec"]["containers"]:
        container["image"] = "logsluice"
    operator.kubectl("create", "-n", SPARK, "-f", "-", stdin=yaml.safe_dump(executor))
    assert [entry["kind"] for entry in executor["metadata"]["ownerReferences"]] == ["SparkApplication", "Pod"]

    operator.kubectl("delete", "pod", DRIVER, "-n", SPARK, "--force", "--grace-period=0")
    driver = _soon(operator, lambda: _driver(operator, other_than=killed["metadata"]["uid"]), tmp_path)
    # Kubernetes leaves it, because it has an owner still.
    assert operator.get("pod", "orphan", "-n", SPARK)
    assert _started(operator, tmp_path) == "orphan: deleted, its driver is gone\n"
    assert _started(operator, tmp_path) == ""
    running = _driver(operator)
    assert running is not None
    assert running["metadata"]["uid"] == driver["metadata"]["uid"]
