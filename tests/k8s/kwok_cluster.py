"""A control plane that kwokctl makes: real servers on loopback, simulated nodes.

Names of options and variables are those of kwok 0.8.0 (`pkg/config/vars.go`, `pkg/kwokctl/cmd`). It fetches the
servers of Kubernetes itself, unless variables like ``KWOK_KUBE_APISERVER_BINARY`` name them.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.k8s.k8s_cluster import Cluster

KUBERNETES = "v1.36.3"
NODES = 3


@contextmanager
def kwok_cluster(kwokctl: str, folder: Path) -> Iterator[Cluster]:
    """A cluster with three nodes in three zones, which is gone at the end.

    Raises:
        AssertionError: It could not be made.
    """
    kubeconfig = folder / "kubeconfig"
    environment = {"KWOK_KUBE_VERSION": KUBERNETES, **os.environ, "KWOK_WORKDIR": str(folder / "kwok")}

    def run(*arguments: str | Path, seconds: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [kwokctl, "--name", "logsluice", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
        )

    try:
        done = run(
            *("create", "cluster", "--runtime", "binary", "--wait", "5m", "--kubeconfig", kubeconfig), seconds=900
        )
        assert done.returncode == 0, done.stdout + done.stderr
        done = run("scale", "node", "--replicas", str(NODES), seconds=120)
        assert done.returncode == 0, done.stdout + done.stderr
        cluster = Cluster(kubeconfig)
        for number, node in enumerate(sorted(item["metadata"]["name"] for item in cluster.get("nodes")["items"])):
            cluster.kubectl("label", "node", node, f"topology.kubernetes.io/zone=zone-{number}")
        yield cluster
    finally:
        run("delete", "cluster", "--kubeconfig", kubeconfig, seconds=120)
