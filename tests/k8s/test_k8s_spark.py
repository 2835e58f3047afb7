"""Real Spark on the control plane, with our manifests: its pods are admitted, and our entrypoint runs them.

No container runs there, so the test starts what a container of the executor's pod would run, as the pod says it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import yaml

from logsluice.jvm.java import spark_home
from tests.k8s.k8s_cluster import Cluster
from tests.k8s.k8s_manifests import SPARK, overlay

JOB = """
from pyspark import SparkContext
with SparkContext() as context:
    print("SUM", context.parallelize(range(1000), 4).map(lambda value: value * 2).sum(), flush=True)
"""


def _conf(cluster: Cluster, name: str, folder: Path) -> dict[str, str]:
    """The configuration that the operator makes of a SparkApplication."""
    spec = overlay("dev").spark()[name]
    conf = dict(spec["sparkConf"]) | {f"spark.hadoop.{key}": value for key, value in spec.get("hadoopConf", {}).items()}
    for role in ("driver", "executor"):
        template = folder / f"{role}.yaml"
        template.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", **spec[role]["template"]}))
        conf |= {
            f"spark.kubernetes.{role}.podTemplateFile": str(template),
            f"spark.kubernetes.{role}.podTemplateContainerName": f"spark-kubernetes-{role}",
            f"spark.{role}.memory": spec[role]["memory"],
            f"spark.{role}.memoryOverhead": spec[role]["memoryOverhead"],
            f"spark.{role}.cores": str(spec[role]["cores"]),
            f"spark.kubernetes.{role}.request.cores": spec[role]["coreRequest"],
            f"spark.kubernetes.{role}.limit.cores": spec[role]["coreLimit"],
            f"spark.kubernetes.authenticate.{role}.serviceAccountName": spec[role]["serviceAccount"],
        }
    server = yaml.safe_load(cluster.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    return conf | {
        "spark.master": f"k8s://{server}",
        "spark.app.name": name,
        "spark.kubernetes.namespace": SPARK,
        "spark.kubernetes.container.image": spec["image"],
        "spark.kubernetes.submission.waitAppCompletion": "false",
        "spark.executor.instances": "1",
    }


def _submit(cluster: Cluster, conf: dict[str, str], *arguments: str | Path) -> subprocess.Popen[str]:
    pairs = [word for key, value in conf.items() for word in ("--conf", f"{key}={value}")]
    return subprocess.Popen(
        [spark_home() / "bin" / "spark-submit", *pairs, *arguments],
        env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "PYSPARK_PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _pod(cluster: Cluster, role: str, seconds: float = 90) -> dict[str, Any]:
    """The one pod of a role, once it is ready."""
    end = time.monotonic() + seconds
    while True:
        found = cluster.get("pods", "-n", SPARK, "-l", f"spark-role={role}")["items"]
        for pod in found:
            conditions = {entry["type"]: entry["status"] for entry in pod["status"].get("conditions", [])}
            if conditions.get("Ready") == "True":
                return dict(pod)
        assert time.monotonic() < end, found
        time.sleep(1)


def _variables(pod: dict[str, Any]) -> dict[str, str]:
    (container,) = pod["spec"]["containers"]
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


def test_a_driver_is_admitted_as_spark_makes_it(dev: Cluster, tmp_path: Path) -> None:
    spec = overlay("dev").spark()["regex-job"]
    submission = _submit(
        dev,
        _conf(dev, "regex-job", tmp_path),
        "--deploy-mode",
        "cluster",
        spec["mainApplicationFile"],
        *spec["arguments"],
    )
    log_text = submission.communicate(timeout=180)[0]
    assert submission.returncode == 0, log_text
    pod = _pod(dev, "driver")
    (container,) = pod["spec"]["containers"]
    assert container["args"][0] == "driver"
    assert container["args"][-2:] == ["--mode", "stream"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["spec"]["serviceAccountName"] == "spark-driver"
    assert container["resources"]["limits"].keys() == {"cpu", "memory"}
    assert pod["metadata"]["labels"]["logsluice.io/kafka-client"] == "true"
    node = dev.get("node", pod["spec"]["nodeName"])
    assert node["metadata"]["labels"]["logsluice.io/node-group"] == "spark"
    # Whatever Spark writes while it runs lies on a volume.
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {"/tmp", "/var/lib/logsluice", "/opt/spark/conf"} <= mounts
    assert _variables(pod)["SPARK_LOCAL_DIRS"] in mounts
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports.items() >= {"metrics": 8002, "driver-rpc-port": 7078, "blockmanager": 7079, "spark-ui": 4040}.items()


def test_an_executor_is_admitted_and_our_entrypoint_runs_it(dev: Cluster, tmp_path: Path) -> None:
    """The driver has the rights of its own account and no others; who does not know its secret is no executor."""
    job = tmp_path / "job.py"
    job.write_text(JOB)
    conf = _conf(dev, "regex-job", tmp_path)
    here = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.driver.port": "0",
        "spark.driver.blockManager.port": "0",
        "spark.blockManager.port": "0",
    }
    driver = dev.as_account(SPARK, "spark-driver", tmp_path)
    application = _submit(driver, conf | here, "--deploy-mode", "client", job)
    running = [application]
    try:
        pod = _pod(dev, "executor")
        (container,) = pod["spec"]["containers"]
        assert container["args"] == ["executor"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert pod["spec"]["serviceAccountName"] == "spark-executor"
        assert pod["spec"]["automountServiceAccountToken"] is False
        # None of the driver's making: it may make no ConfigMap.
        assert not [volume for volume in pod["spec"]["volumes"] if "configMap" in volume]
        variables = _variables(pod) | {
            "SPARK_EXECUTOR_POD_IP": "127.0.0.1",
            "SPARK_EXECUTOR_POD_NAME": pod["metadata"]["name"],
            "SPARK_CONF_DIR": str(tmp_path),
            "SPARK_LOCAL_DIRS": str(tmp_path),
            "SPARK_LOCAL_IP": "127.0.0.1",
        }
        stranger = _executor(
            container["args"], variables | {"_SPARK_AUTH_SECRET": "another"}, tmp_path / "stranger.log"
        )
        running.append(stranger)
        assert stranger.wait(120) != 0
        assert application.poll() is None
        executor = _executor(container["args"], variables, tmp_path / "executor.log")
        running.append(executor)
        log_text = application.communicate(timeout=180)[0]
        assert f"SUM {sum(range(1000)) * 2}" in log_text, log_text + (tmp_path / "executor.log").read_text()
        assert application.returncode == 0, log_text
        assert "forbidden" not in log_text.lower()
        executor.wait(60)
        assert not dev.get("pods", "-n", SPARK, "-l", "spark-role=executor")["items"]
    finally:
        for process in running:
            if process.poll() is None:
                for member in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
                    member.kill()
                process.wait(10)


def _executor(arguments: list[str], variables: dict[str, str], log: Path) -> subprocess.Popen[str]:
    """What the container of an executor's pod runs, here."""
    with log.open("w") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "logsluice.kubernetes.entrypoint", *arguments],
            env={**os.environ, **variables},
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            text=True,
        )
