"""A real Kubernetes control plane for the tests of this folder: no container runs, everything else is real.

It is the one that ``LOGSLUICE_TEST_KUBECONFIG`` names, which the tests fill and empty, or one that
``tools/control-plane`` of the shared folder, or else kwokctl, starts for them. No other cluster of the developer's is
touched.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from tests.k8s.k8s_cluster import Cluster
from tests.k8s.k8s_manifests import ROOT
from tests.k8s.kwok_cluster import kwok_cluster
from tests.k8s.operator_definitions import all_definitions
from tests.shared.shared_folder import TOOLS, found

NAMED = "LOGSLUICE_TEST_KUBECONFIG"
# Offsets of the ports that the control plane takes from its first one.
PORTS = (10, 11, 43, 58, 59, 61)
POOLS = ("system", "data", "spark")
# Nothing makes volumes here. One that was given up is not given to another: there are enough for all tests.
VOLUMES = 24
# Modules here that read files of the repository alone, run what `make test` installs, or want another cluster.
WITHOUT_TOOLS = ("test_helm.py", "test_k8s_rules.py", "test_whole_cluster.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Whatever is added to this folder belongs to ``make test-k8s``, unless it is said to need no tool."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.name not in WITHOUT_TOOLS:
            item.add_marker(pytest.mark.tools)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The control plane, for the whole session."""
    if shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl to speak to a control plane with")
    if named := os.environ.get(NAMED):
        yield _prepared(Cluster(Path(named)))
        return
    starter = TOOLS / "control-plane"
    folder = tmp_path_factory.mktemp("control-plane")
    if not starter.is_file():
        kwokctl = found("kwokctl") or pytest.skip(f"no control plane: neither {starter} nor kwokctl nor {NAMED}")
        with kwok_cluster(kwokctl, folder) as made:
            yield _prepared(made)
        return
    environment = {**os.environ, "PORT_BASE": str(_port_base())}
    try:
        done = subprocess.run([starter, "start", folder], env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        yield _prepared(Cluster(folder / "kubeconfig"))
    finally:
        subprocess.run([starter, "stop", folder], env=environment, capture_output=True, timeout=120)


@pytest.fixture(scope="module")
def dev(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with dev on it, for one module; others put overlays of their own on the same cluster."""
    folder = ROOT / "k8s" / "overlays" / "dev"
    cluster.kubectl("apply", "--validate=strict", "-k", folder)
    try:
        yield cluster
    finally:
        cluster.kubectl("delete", "--ignore-not-found", "--wait", "-k", folder)


def _prepared(cluster: Cluster) -> Cluster:
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=all_definitions())
    cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(_volume(number) for number in range(VOLUMES)))
    nodes = sorted(item["metadata"]["name"] for item in cluster.get("nodes")["items"])
    for node, pool in zip(nodes, POOLS, strict=False):
        cluster.kubectl("label", "--overwrite", "node", node, f"logsluice.io/node-group={pool}")
        if pool != "system":
            cluster.kubectl("taint", "--overwrite", "node", node, f"logsluice.io/workload={pool}:NoSchedule")
    return cluster


def _volume(number: int) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"volume-{number}"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "10Gi"},
            "hostPath": {"path": f"/volumes/{number}"},
        },
    }


def _port_base() -> int:
    """The first of a row of ports that nobody has, below those that the system gives away by itself.

    Tests in several processes look in ranges apart.
    """
    first = 30_000 + 500 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 5)
    for base in range(first, first + 500, 100):
        if all(_is_free(base + offset) for offset in PORTS):
            return base
    raise AssertionError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as connection:
        try:
            connection.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
