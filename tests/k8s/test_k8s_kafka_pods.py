"""Kafka's pods as Strimzi makes them."""

from __future__ import annotations

import pytest
import yaml

from tests.k8s.k8s_cluster import Cluster
from tests.k8s.k8s_manifests import OVERLAYS, Object, Overlay, overlay
from tests.k8s.strimzi_operator import entity_operator_pod, kafka_pods


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> Overlay:
    return overlay(request.param)


def _pods(manifests: Overlay) -> list[Object]:
    kafka = manifests.of("Kafka")["logsluice-kafka"]
    return [pod for pool in manifests.of("KafkaNodePool").values() for pod in kafka_pods(kafka, pool)]


def test_every_pod_may_ask_the_api_server_for_its_certificates(manifests: Overlay) -> None:
    kafka = manifests.of("Kafka")["logsluice-kafka"]
    for pod in [*_pods(manifests), entity_operator_pod(kafka)]:
        assert pod["metadata"]["labels"]["logsluice.io/kubernetes-api-client"] == "true"
        assert pod["metadata"]["labels"]["app.kubernetes.io/component"] == "kafka"


def test_every_broker_may_write_to_its_volume_and_has_time_to_end(manifests: Overlay) -> None:
    for pod in _pods(manifests):
        assert pod["spec"]["securityContext"] == {
            "runAsNonRoot": True,
            "fsGroup": 0,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        # A broker moves its leaderships away first; by default it is killed after 30 s.
        assert pod["spec"]["terminationGracePeriodSeconds"] == 120


def test_every_pod_is_placed_as_its_environment_wants(manifests: Overlay) -> None:
    for pod in _pods(manifests):
        assert [entry["value"] for entry in pod["spec"]["tolerations"]] == ["data"]
        assert ("affinity" in pod["spec"]) is manifests.on_aws
        assert ("topologySpreadConstraints" in pod["spec"]) is (manifests.name == "prod")


def test_what_the_kafka_resource_says_of_pods_is_not_said_in_vain(manifests: Overlay) -> None:
    """A pool's own template replaces it, key by key."""
    parts = set(manifests.of("Kafka")["logsluice-kafka"]["spec"]["kafka"].get("template", {}))
    for pool in manifests.of("KafkaNodePool").values():
        assert not parts & set(pool["spec"]["template"])


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_pod_is_admitted(dev: Cluster, name: str) -> None:
    """By Pod Security `restricted`, which the namespace asks for."""
    manifests = overlay(name)
    kafka = manifests.of("Kafka")["logsluice-kafka"]
    for number, pod in enumerate([*_pods(manifests), entity_operator_pod(kafka)]):
        named = {**pod, "apiVersion": "v1", "kind": "Pod"}
        named["metadata"] = pod["metadata"] | {"name": f"kafka-{number}"}
        spec = {key: value for key, value in pod["spec"].items() if value is not None}
        for part in ("initContainers", "containers"):
            spec[part] = [{**container, "image": "kafka"} for container in spec.get(part, [])]
        named["spec"] = spec
        dev.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=yaml.safe_dump(named))
