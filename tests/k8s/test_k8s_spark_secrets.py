"""What brings secrets to Spark's namespace, with its own account and rights, on a real control plane."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from logsluice.kubernetes.secrets import Copy, parse_copy
from tests.k8s.k8s_cluster import Cluster
from tests.k8s.k8s_manifests import SPARK, overlay

NAMESPACE = "logsluice"


def _copies() -> tuple[list[str], list[Copy]]:
    (container,) = overlay("dev").of("Deployment")["spark-secrets"]["spec"]["template"]["spec"]["containers"]
    return container["args"], [parse_copy(word) for word in container["args"] if ":" in word]


def _write(cluster: Cluster, name: str, **data: str) -> None:
    """A secret as an operator writes it: with more in it than is asked for."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}}
    changed = secret | {"stringData": data | {"private": "only here"}}
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump(changed))


def _there(cluster: Cluster) -> dict[str, dict[str, str]]:
    items = cluster.get("secrets", "-n", SPARK)["items"]
    return {
        item["metadata"]["name"]: {key: base64.b64decode(value).decode() for key, value in item["data"].items()}
        for item in items
    }


def _soon(cluster: Cluster, wanted: dict[str, dict[str, str]], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while _there(cluster) != wanted:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, (_there(cluster), wanted)
        time.sleep(0.5)


@pytest.fixture
def account(dev: Cluster, tmp_path: Path) -> Cluster:
    """The cluster as the workload's own account sees it."""
    return dev.as_account(NAMESPACE, "spark-secrets", tmp_path)


@pytest.fixture
def keeping(dev: Cluster, account: Cluster, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The workload, as its pod would run it."""
    arguments, copies = _copies()
    process = subprocess.Popen(
        [sys.executable, *arguments[1:], "--every=0.5"],
        env={**os.environ, "KUBECONFIG": str(account.kubeconfig)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)
        names = sorted({copy.source for copy in copies})
        dev.kubectl("delete", "secret", "--ignore-not-found", "-n", NAMESPACE, *names)
        dev.kubectl("delete", "secret", "--ignore-not-found", "-n", SPARK, *sorted({copy.target for copy in copies}))


def test_secrets_are_brought_when_they_are_written_and_renewed(dev: Cluster, keeping: subprocess.Popen[str]) -> None:
    _, copies = _copies()
    first, *others = copies
    for copy in others:
        _write(dev, copy.source, **{copy.key: f"first of {copy.source}"})
    wanted = {copy.target: {copy.key: f"first of {copy.source}"} for copy in others}
    _soon(dev, wanted, keeping)
    # Written late, renewed, and put wrong by hand.
    _write(dev, first.source, **{first.key: "late"})
    _soon(dev, wanted | {first.target: {first.key: "late"}}, keeping)
    renewed = others[0]
    _write(dev, renewed.source, **{renewed.key: "renewed"})
    wanted = wanted | {first.target: {first.key: "late"}, renewed.target: {renewed.key: "renewed"}}
    _soon(dev, wanted, keeping)
    dev.kubectl("delete", "secret", "-n", SPARK, first.target)
    _soon(dev, wanted, keeping)
    keeping.terminate()
    output = keeping.communicate(timeout=30)[0]
    assert keeping.returncode == 0, output
    assert "first of" not in output
    assert "renewed" not in output


def test_its_account_may_touch_those_secrets_alone(dev: Cluster, account: Cluster) -> None:
    _write(dev, "redis", password="p")
    try:
        for forbidden in (
            ("get", "secrets", "-n", NAMESPACE),
            ("get", "secret", "redis", "-n", NAMESPACE),
            ("get", "secrets", "-n", SPARK),
            ("create", "secret", "generic", "regex-job", "-n", SPARK),
            ("create", "secret", "generic", "regex-job", "-n", NAMESPACE),
        ):
            refused = account.kubectl(*forbidden, check=False)
            assert "is forbidden" in refused.stderr, forbidden
        for name, namespace in (("another", SPARK), ("regex-job", NAMESPACE)):
            secret: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
            refused = account.kubectl(
                "apply", "--server-side", "-n", namespace, "-f", "-", stdin=yaml.safe_dump(secret), check=False
            )
            assert "is forbidden" in refused.stderr, (name, namespace)
    finally:
        dev.kubectl("delete", "secret", "redis", "-n", NAMESPACE)


def test_a_refusal_ends_it_with_one_line(account: Cluster, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "logsluice.kubernetes.secrets", f"--source={NAMESPACE}", f"--target={SPARK}"]
    for copy, output in (
        ("redis:password", 'secrets \\"redis\\" is forbidden'),
        ("redis", "redis: no copy of a secret"),
    ):
        done = subprocess.run(
            [*words, copy],
            env={**os.environ, "KUBECONFIG": str(account.kubeconfig)},
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
        )
        assert done.returncode == 1
        assert (done.stdout + done.stderr).count("\n") == 1
        assert output in done.stdout + done.stderr
