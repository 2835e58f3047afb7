"""What ECK's real operator makes of the release eck-stack: stateful sets, deployments, and their pods."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest
import yaml

from tests.k8s.eck_operator import NAMESPACE, eck_operator, elastic_resources, other_objects
from tests.k8s.helm_values import STACKS, values
from tests.k8s.k8s_cluster import Cluster
from tests.k8s.k8s_manifests import ROOT

Object = dict[str, Any]
NAMESPACE_FILE = ROOT / "k8s" / "base" / "network" / "namespace.yaml"


@pytest.fixture(scope="module")
def operator(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The control plane with the operator at work."""
    folder = tmp_path_factory.mktemp("eck")
    with eck_operator(cluster, folder) as running:
        yield cluster
        assert running.poll() is None, (folder / "eck.log").read_text()[-4000:]


@pytest.fixture(scope="module", params=STACKS)
def pods(request: pytest.FixtureRequest, operator: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The pods of a stack's Elasticsearch, Kibana and Logstash, by part, as Pod Security let them in."""
    stack: str = request.param
    resources = elastic_resources(stack)
    wanted = {"elasticsearch": sum(nodes["count"] for nodes in resources[0]["spec"]["nodeSets"])}
    wanted |= {item["kind"].lower(): item["spec"].get("count", 1) for item in resources[1:]}
    operator.kubectl("apply", "-f", NAMESPACE_FILE)
    try:
        others = other_objects(stack, tmp_path_factory.mktemp("objects"))
        operator.kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=others)
        operator.kubectl("apply", "--validate=strict", "-f", "-", stdin=yaml.safe_dump_all(resources))
        found: dict[str, list[Object]] = {}
        until = time.monotonic() + 120
        while {part: len(of_part) for part, of_part in found.items()} != wanted and time.monotonic() < until:
            time.sleep(1)
            selected = {part: ("-l", f"common.k8s.elastic.co/type={part}") for part in wanted}
            found = {part: operator.get("pods", "-n", NAMESPACE, *which)["items"] for part, which in selected.items()}
        events = operator.kubectl("get", "events", "-n", NAMESPACE, "--field-selector", "type=Warning").stdout
        assert {part: len(of_part) for part, of_part in found.items()} == wanted, events
        yield stack, found
    finally:
        operator.kubectl("delete", "--wait", "-f", "-", stdin=yaml.safe_dump_all(resources))
        operator.kubectl("delete", "--wait", "-f", NAMESPACE_FILE)


def test_pods_run_as_the_account_that_has_their_role(pods: tuple[str, dict[str, list[Object]]]) -> None:
    """EKS gives the role for snapshots to the account `elasticsearch`; `default` would get no credentials."""
    _, found = pods
    for part in ("elasticsearch", "logstash"):
        assert {pod["spec"]["serviceAccountName"] for pod in found[part]} == {part}
    for pod in chain.from_iterable(found.values()):
        assert pod["spec"]["automountServiceAccountToken"] is False


def test_pods_carry_the_labels_that_policies_and_monitors_select(pods: tuple[str, dict[str, list[Object]]]) -> None:
    stack, found = pods
    for part, of_part in found.items():
        own = values("eck-stack", stack)[f"eck-{part}"]
        templates = [nodes["podTemplate"] for nodes in own["nodeSets"]] if "nodeSets" in own else [own["podTemplate"]]
        cluster = "cluster-name" if part == "elasticsearch" else "name"
        wanted = templates[0]["metadata"]["labels"] | {f"{part}.k8s.elastic.co/{cluster}": own["fullnameOverride"]}
        for pod in of_part:
            assert wanted.items() <= pod["metadata"]["labels"].items()


def test_every_container_is_hardened(pods: tuple[str, dict[str, list[Object]]]) -> None:
    """Also those that only the operator knows of. The namespace enforces `restricted`; this says more."""
    _, found = pods
    for part, of_part in found.items():
        for pod in of_part:
            context = pod["spec"]["securityContext"]
            assert (context["runAsNonRoot"], context["runAsUser"], context["fsGroup"]) == (True, 1000, 1000), part
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}
            for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
                own = container["securityContext"]
                assert own["allowPrivilegeEscalation"] is False, container["name"]
                assert own["capabilities"]["drop"] == ["ALL"], container["name"]
                assert own["readOnlyRootFilesystem"] is True, container["name"]


def test_elasticsearch_finds_the_credentials_of_its_account(pods: tuple[str, dict[str, list[Object]]]) -> None:
    stack, found = pods
    for pod in found["elasticsearch"]:
        (server,) = (entry for entry in pod["spec"]["containers"] if entry["name"] == "elasticsearch")
        variables = {entry["name"]: entry.get("value") for entry in server["env"]}
        token = variables.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
        assert (token is None) is (stack == "local"), "there is no AWS"
        if token:
            folder, _, file = token.rpartition("/")
            (mount,) = (entry for entry in server["volumeMounts"] if entry["mountPath"] == folder)
            (volume,) = (entry for entry in pod["spec"]["volumes"] if entry["name"] == mount["name"])
            (source,) = volume["projected"]["sources"]
            assert source["serviceAccountToken"]["path"] == file
