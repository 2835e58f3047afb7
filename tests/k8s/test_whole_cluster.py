"""The README's lines for a cluster of one's own, where containers run: until facts are searchable, and away again.

``make test-cluster`` runs it on the cluster of ``LOGSLUICE_TEST_CLUSTER``, a kubeconfig; our image is there already. It
installs the releases and the overlay `dev`, and takes the overlay away at the end.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import yaml
from playwright.sync_api import expect, sync_playwright

from tests.k8s.k8s_cluster import Cluster
from tests.shared.shared_folder import ROOT

T = TypeVar("T")
NAMED = "LOGSLUICE_TEST_CLUSTER"
OVERLAY = ROOT / "k8s" / "overlays" / "dev"
ARTIFACTS = ROOT / "artifacts" / "cluster"
ELASTICSEARCH = "dev-elasticsearch-cluster"
KIBANA = "logsluice-kibana"
SECONDS = 1_800.0
# They wait for passwords and keys that a person makes (docs/deploy.md, "The HTTP API").
WITHOUT_SECRETS = {"api", "redis", "redis-cache"}

pytestmark = [
    pytest.mark.whole_cluster,
    pytest.mark.timeout(5_400),
    pytest.mark.skipif(NAMED not in os.environ, reason=f"{NAMED} names no kubeconfig of a cluster to fill and empty"),
]


def eventually(probe: Callable[[], T], *, seconds: float = SECONDS) -> T:
    """What ``look`` gives once it gives something; AssertionErrors and silence mean: not yet."""
    end = time.monotonic() + seconds
    while True:
        try:
            if found := probe():
                return found
            reason = "it never came"
        except (AssertionError, httpx.HTTPError) as error:
            reason = str(error)
        assert time.monotonic() < end, reason
        time.sleep(5)


@pytest.fixture(scope="module")
def whole() -> Cluster:
    """The cluster that is filled."""
    return Cluster(Path(os.environ[NAMED]))


@contextmanager
def forwarded(whole: Cluster, namespace: str, service: str, port: int) -> Iterator[int]:
    """A port of this machine that leads to a service."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        local: int = free.getsockname()[1]
    command = ["kubectl", "--kubeconfig", str(whole.kubeconfig), "-n", namespace, "port-forward", f"service/{service}"]
    with subprocess.Popen([*command, f"{local}:{port}"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert "Forwarding" in process.stdout.readline()
            yield local
        finally:
            process.terminate()


def password(whole: Cluster) -> str:
    secret = whole.get("secret", f"{ELASTICSEARCH}-es-elastic-user", "-n", "logsluice")
    return base64.b64decode(secret["data"]["elastic"]).decode()


def count(whole: Cluster, alias: str) -> int:
    with forwarded(whole, "logsluice", f"{ELASTICSEARCH}-es-http", 9200) as port:
        answer = httpx.get(
            f"https://127.0.0.1:{port}/{alias}/_count",
            auth=("elastic", password(whole)),
            verify=False,  # the name in the certificate is the service's
            timeout=30,
        )
    assert answer.is_success, answer.text
    return int(answer.json()["count"])


def ours(whole: Cluster) -> list[str]:
    """Everything on the cluster that carries the overlay's label."""
    kinds = whole.kubectl("api-resources", "--verbs=list", "-o", "name").stdout.split()
    listed = whole.kubectl(
        "get", ",".join(kinds), "-A", "-l", "app.kubernetes.io/part-of=logsluice", "-o", "name", "--ignore-not-found"
    )
    return [name for name in listed.stdout.split() if not name.startswith("event")]


def test_the_releases_install(whole: Cluster) -> None:
    done = subprocess.run(
        ["make", "releases"],
        cwd=ROOT,
        env={**os.environ, "KUBECONFIG": str(whole.kubeconfig)},
        capture_output=True,
        text=True,
        timeout=3_600,
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]


def test_the_overlay_is_taken_and_everything_gets_ready(whole: Cluster) -> None:
    whole.kubectl("apply", "-k", OVERLAY)

    def ready() -> bool:
        states = [
            (item["metadata"]["namespace"], item["metadata"]["name"], item["status"].get("readyReplicas", 0))
            for item in whole.get("deployments,statefulsets", "-A")["items"]
            if item["spec"].get("replicas", 1) and item["metadata"]["name"] not in WITHOUT_SECRETS
        ]
        waiting = [state for state in states if not state[2]]
        assert not waiting, waiting
        for item in whole.get("sparkapplications", "-A")["items"]:
            state = item.get("status", {}).get("applicationState", {}).get("state")
            assert state == "RUNNING", (item["metadata"]["name"], state)
        return bool(states)

    eventually(ready)


def test_facts_are_searchable(whole: Cluster) -> None:
    first = eventually(lambda: count(whole, "dev-results-index"))
    eventually(lambda: count(whole, "dev-results-index") > first + 200)
    eventually(lambda: count(whole, "dev-logs-index") > first)
    eventually(lambda: count(whole, "dev-windows-index"))


def test_kibana_answers_and_shows_the_overview(whole: Cluster) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("there is no Chromium here (Debian's package chromium)")
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    with forwarded(whole, "logsluice", f"{KIBANA}-kb-http", 5601) as port, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 2400}, ignore_https_errors=True)
        page.set_default_timeout(180_000)
        page.goto(f"https://127.0.0.1:{port}/app/dashboards#/view/logsluice-overview")
        page.locator("[data-test-subj=loginUsername]").fill("elastic")
        page.locator("[data-test-subj=loginPassword]").fill(password(whole))
        page.locator("[data-test-subj=loginSubmit]").click()
        expect(page.locator("[data-shared-item][data-render-complete=true]").first).to_be_visible(timeout=180_000)
        page.screenshot(path=ARTIFACTS / "kibana-overview.png", full_page=True)
        browser.close()


def test_a_stranger_among_the_pods_reaches_neither_kafka_nor_elasticsearch(whole: Cluster) -> None:
    for host, port in (
        ("logsluice-kafka-kafka-bootstrap.logsluice", 9093),
        (f"{ELASTICSEARCH}-es-http.logsluice", 9200),
    ):
        script = f"import socket; socket.create_connection(({host!r}, {port}), 5)"
        done = whole.kubectl(
            "run", "stranger", "-n", "default", "--rm", "--attach", "--quiet", "--restart=Never",
            "--image=logsluice:0.1.0", "--image-pull-policy=Never", "--command", "--", "python", "-c", script,
            check=False,
        )  # fmt: skip
        assert done.returncode != 0, host
        assert "timed out" in done.stdout + done.stderr, done.stdout + done.stderr


def test_what_it_takes_is_written_down(whole: Cluster) -> None:
    requests = [
        {
            "pod": f"{item['metadata']['namespace']}/{item['metadata']['name']}",
            "containers": {part["name"]: part.get("resources", {}) for part in item["spec"]["containers"]},
            "restarts": sum(part["restartCount"] for part in item["status"].get("containerStatuses", ())),
        }
        for item in whole.get("pods", "-A")["items"]
    ]
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    (ARTIFACTS / "pods.json").write_text(json.dumps(requests, indent=2))
    killed = [
        item["metadata"]["name"]
        for item in whole.get("pods", "-A")["items"]
        for part in item["status"].get("containerStatuses", ())
        if part.get("lastState", {}).get("terminated", {}).get("reason") == "OOMKilled"
    ]
    assert not killed


def test_delete_leaves_nothing(whole: Cluster) -> None:
    made: list[Any] = list(yaml.safe_load_all(whole.kubectl("kustomize", OVERLAY).stdout))
    assert len(made) > 50
    whole.kubectl("delete", "-k", OVERLAY, "--wait=false")
    eventually(lambda: not ours(whole))
