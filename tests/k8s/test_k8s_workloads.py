"""What dev lets happen on a real control plane, and how the command line uses it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.k8s.k8s_cluster import Cluster
from tests.k8s.k8s_manifests import OVERLAYS, SPARK, overlay

LOGSLUICE = Path(sys.executable).with_name("logsluice")
NAMESPACE = "logsluice"


def test_a_pod_that_could_harm_the_node_is_refused(dev: Cluster) -> None:
    for spec in (
        {"containers": [{"name": "a", "image": "a", "securityContext": {"privileged": True}}]},
        {"containers": [{"name": "a", "image": "a"}]},
        {"hostNetwork": True, "containers": [{"name": "a", "image": "a"}]},
    ):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bad"}, "spec": spec}
        for namespace in (NAMESPACE, SPARK):
            refused = dev.kubectl("create", "-n", namespace, "-f", "-", stdin=yaml.safe_dump(pod), check=False)
            assert refused.returncode != 0
            assert 'violates PodSecurity "restricted:latest"' in refused.stderr


@pytest.mark.parametrize("name", OVERLAYS)
def test_spark_s_pods_are_admitted_as_they_are_written(dev: Cluster, name: str) -> None:
    """Spark adds to its templates but takes nothing away; the API knows templates as text alone."""
    for template in overlay(name).templates():
        if not template.spark:
            continue
        spec = json.loads(json.dumps(template.template["spec"]))
        for container in spec["containers"]:
            container["image"] = "logsluice"
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "spark", "namespace": SPARK, "labels": template.labels},
            "spec": spec,
        }
        dev.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=yaml.safe_dump(pod))


@pytest.mark.parametrize(
    ("account", "what", "may"),
    [
        ("spark-driver", ("create", "pods"), True),
        ("spark-driver", ("deletecollection", "pods"), True),
        ("spark-driver", ("deletecollection", "configmaps"), False),
        ("spark-driver", ("deletecollection", "persistentvolumeclaims"), False),
        ("spark-driver", ("delete", "services"), False),
        ("spark-driver", ("get", "secrets"), False),
        ("spark-driver", ("create", "pods", "--subresource=exec"), False),
        ("spark-driver", ("create", "sparkapplications.sparkoperator.k8s.io"), False),
        ("spark-executor", ("get", "pods"), False),
        ("app-service", ("get", "pods"), False),
        ("alerts-job", ("get", "secrets"), False),
        ("setup", ("get", "secrets"), False),
    ],
)
def test_an_account_may_do_its_work_and_nothing_else(
    dev: Cluster, account: str, what: tuple[str, ...], may: bool
) -> None:
    home = SPARK if account.startswith("spark-") else NAMESPACE
    command = ("auth", "can-i", *what, "--as", f"system:serviceaccount:{home}:{account}")
    assert dev.kubectl(*command, "-n", home, check=False).stdout.strip() == ("yes" if may else "no")
    elsewhere = NAMESPACE if home == SPARK else SPARK
    assert dev.kubectl(*command, "-n", elsewhere, check=False).stdout.strip() == "no"


def _logsluice(cluster: Cluster, *arguments: str, config: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LOGSLUICE, *arguments],
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "KUBECONFIG": str(config or cluster.kubeconfig)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def _operator(cluster: Cluster, prefix: str, *states: tuple[str, str]) -> threading.Thread:
    """Plays the operator for the next run of a job: its states, a moment apart."""

    def name_of_run() -> str:
        names = [item["metadata"]["name"] for item in cluster.get("sparkapplications", "-n", SPARK)["items"]]
        return next((name for name in names if name.startswith(prefix)), "")

    def play() -> None:
        run = _soon(name_of_run)
        for state, message in states:
            status = {"status": {"applicationState": {"state": state, "errorMessage": message}, "driverInfo": {}}}
            cluster.kubectl(
                "patch", "-n", SPARK, f"sparkapplication/{run}", "--subresource=status", "--type=merge",
                "-p", json.dumps(status),
            )  # fmt: skip
            time.sleep(3)

    thread = threading.Thread(target=play, daemon=True)
    thread.start()
    return thread


def _soon(question: Callable[[], str], seconds: float = 60) -> str:
    end = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < end
        time.sleep(0.5)
    return answer


def test_a_job_is_submitted_followed_and_its_outcome_returned(dev: Cluster) -> None:
    operator = _operator(dev, "regex-job-2", ("SUBMITTED", ""), ("RUNNING", ""), ("COMPLETED", ""))
    done = _logsluice(dev, "submit", "regex_job", "--mode", "batch", "--since", "24h")
    operator.join(30)
    assert done.returncode == 0, done.stderr
    messages = [line.split(": ", 1)[1] for line in done.stdout.splitlines()]
    assert messages[0] == "submitted, --mode batch --since 24h"
    assert messages[-1] == "completed"
    runs = dev.get("sparkapplications", "-n", SPARK)["items"]
    (run,) = (item for item in runs if item["metadata"]["name"].startswith("regex-job-2"))
    (standing,) = (item for item in runs if item["metadata"]["name"] == "regex-job")
    ours = {"arguments", "restartPolicy", "timeToLiveSeconds"}
    assert {key for key in run["spec"] if run["spec"][key] != standing["spec"].get(key)} == ours
    assert run["spec"]["arguments"] == ["--mode", "batch", "--since", "24h"]
    assert run["spec"]["restartPolicy"]["type"] == "Never"


def test_a_run_that_failed_is_told_in_one_line(dev: Cluster) -> None:
    operator = _operator(dev, "regex-batch-2", ("RUNNING", ""), ("FAILED", "driver container failed with\nExitCode: 1"))
    done = _logsluice(dev, "submit", "regex-batch")
    operator.join(30)
    assert done.returncode == 1
    assert "logsluice-spark/regex-batch-2" in done.stderr
    assert done.stderr.endswith(": failed (driver container failed with ExitCode: 1)\n")


def test_what_cannot_be_submitted_is_said_in_one_line(dev: Cluster, tmp_path: Path) -> None:
    for arguments, message in (
        (("nope",), "no such job in the cluster; there are producer-job, regex-batch, regex-job, windows-job"),
        (("regex-job",), "two would share its checkpoint; say --mode batch"),
        (("regex-job", "--since", "soon"), "soon: is no moment"),
        (("regex-job", "--context", "elsewhere"), "elsewhere: no cluster to go to"),
        (("regex-job", "--namespace", "elsewhere"), "deploy first"),
    ):
        done = _logsluice(dev, "submit", *arguments)
        assert done.returncode == 1
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    done = _logsluice(dev, "status", "--cluster", config=tmp_path / "none")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "no cluster to go to" in done.stderr


def test_status_shows_what_runs_and_what_does_not(dev: Cluster) -> None:
    dev.kubectl("rollout", "status", "-n", NAMESPACE, "deployment/app-service", "--timeout=90s")
    ready = json.dumps({"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    for kind in ("kafka/logsluice-kafka", "kafkatopic/logs-topic"):
        dev.kubectl("patch", "-n", NAMESPACE, kind, "--subresource=status", "--type=merge", "-p", ready)
    done = _logsluice(dev, "status", "--cluster")
    assert done.returncode == 3, done.stderr
    rows = {tuple(cell.strip() for cell in line.split("│")[2:4]) for line in done.stdout.splitlines() if "│" in line}
    assert ("app-service", "1 of 1 ready") in rows
    assert ("logsluice-kafka", "Ready") in rows
    assert ("logs-topic", "Ready") in rows
    assert ("logs-topic-dlq", "not seen by its operator") in rows
    assert ("regex-job", "NEW") in rows
