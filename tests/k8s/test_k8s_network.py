"""Every edge between everything that runs, as the policies let it through at both of its ends: all that are needed and
no other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.k8s.k8s_manifests import OVERLAYS, Overlay, overlay
from tests.k8s.network_policies import Endpoint, edges, in_vain
from tests.k8s.running_pods import endpoints, policies

SPARK = ("regex-job", "regex-batch", "windows-job", "producer-job")
API_SERVER = "kubernetes:443 kubernetes-node:6443"
S3 = "internet:443 pod-identity:80"
DNS = "dns:53 dns:UDP 53"
NEEDED = {
    "api": "kafka elasticsearch:9200 redis:6379 redis:6380",
    "app-service": "kafka elasticsearch:9200",
    "alerts-job": "kafka elasticsearch:9200 internet:443",
    "dashboard": "elasticsearch:9200 app-service:8000",
    "elasticsearch-exporter": "elasticsearch:9200",
    "setup": "elasticsearch:9200 kibana:5601 schema-registry:8088",
    "schema-registry": "",
    "spark-secrets": API_SERVER,
    "redis": "",
    "regex-job driver": f"kafka elasticsearch:9200 {API_SERVER} {S3}",
    "regex-job executor": "kafka elasticsearch:9200",
    "regex-batch driver": f"kafka elasticsearch:9200 {API_SERVER} {S3}",
    "regex-batch executor": "kafka elasticsearch:9200",
    "windows-job driver": f"kafka elasticsearch:9200 {API_SERVER} {S3}",
    "windows-job executor": f"kafka {S3}",
    "producer-job driver": f"kafka {API_SERVER}",
    "producer-job executor": "kafka",
    "logstash": "kafka elasticsearch:9200",
    "kibana": "elasticsearch:9200",
    "elasticsearch": f"elasticsearch:9200 elasticsearch:9300 {S3}",
    "entity-operator": f"brokers:9091 {API_SERVER}",
    "prometheus": (
        "api:8090 app-service:8000 alerts-job:8006 elasticsearch-exporter:9114 nodes:9404 "
        "regex-job-driver:8002 regex-batch-driver:8002 windows-job-driver:8005 producer-job-driver:8001 "
        "regex-job-driver:4040 regex-batch-driver:4040 windows-job-driver:4040 producer-job-driver:4040"
    ),
    "strimzi": "controllers:9090 brokers:9091 nodes:8443",
    "eck": "elasticsearch:9200 kibana:5601 logstash:9600",
    "traefik": "api:8090 kibana:5601",
    "shipper": "logstash:5044",
    "poster": "api:8090",
}
"""Who has to reach whom: ``kafka`` is the brokers' listener for clients; of Kafka's nodes, ``brokers`` and
``controllers`` are those with the role, ``nodes`` are all."""
OPEN = {"9404", "8080", "8081"}
"""What Strimzi's own policies open to everybody: Kafka's metrics, and the entity operator's health."""


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> Overlay:
    return overlay(request.param)


def _words(text: str) -> list[str]:
    return text.replace("UDP ", "UDP_").split()


def _needed(manifests: Overlay, there: list[Endpoint]) -> Iterator[tuple[str, str]]:
    pools = {name: set(pool["spec"]["roles"]) for name, pool in manifests.of("KafkaNodePool").items()}
    groups = {
        "nodes": list(pools),
        "brokers": [name for name, roles in pools.items() if "broker" in roles],
        "controllers": [name for name, roles in pools.items() if "controller" in roles],
    }
    names = {pod.name for pod in there}
    needed = dict(NEEDED) | dict.fromkeys(pools, f"brokers:9091 controllers:9090 {API_SERVER}")
    for source, text in needed.items():
        if source not in names:
            continue
        ours = next(pod.namespace.startswith("logsluice") for pod in there if pod.name == source)
        if not manifests.on_aws:
            text = text.replace(S3, "")
        for word in [*_words(text), *(_words(DNS) if ours else [])]:
            what, _, port = word.replace("kafka", "brokers:9093").rpartition(":")
            for target in groups.get(what, [what.replace("-driver", " driver")]):
                if target in names:
                    yield source, f"{target}:{port.replace('_', ' ')}"
    for source in (pod.name for pod in there if pod.name.rpartition(" ")[2] in ("driver", "executor")):
        for job in SPARK:
            for target in (f"{job} driver:7078", f"{job} driver:7079", f"{job} executor:7079"):
                if target.rpartition(":")[0] in names:
                    yield source, target


def _is_ours(name: str, there: list[Endpoint]) -> bool:
    return any(pod.name == name and pod.namespace.startswith("logsluice") for pod in there)


def test_every_edge_that_is_needed_is_open_and_no_other(manifests: Overlay) -> None:
    there = endpoints(manifests)
    found = {
        (source, target)
        for source, target in edges(policies(manifests), there)
        if _is_ours(source, there) or _is_ours(target.rpartition(":")[0], there)
    }
    by_strimzi = {
        (source, target)
        for source, target in found
        if not _is_ours(source, there) and target.rpartition(":")[2] in OPEN
    }
    needed = set(_needed(manifests, there))
    assert needed - found == set(), "needed, and denied"
    assert found - by_strimzi - needed == set(), "open, and not needed"
    assert len(needed) > 100


def test_no_policy_opens_what_the_other_end_denies() -> None:
    """A rule may be about what only some of the environments have."""
    vain = []
    for manifests in map(overlay, OVERLAYS):
        ours = {item["metadata"]["name"] for item in manifests.objects if item["kind"] == "NetworkPolicy"}
        found = in_vain(policies(manifests), endpoints(manifests))
        vain.append({line for line in found if line.partition(",")[0] in ours})
    assert set.intersection(*vain) == set()


def test_a_missing_label_is_a_closed_edge(manifests: Overlay) -> None:
    """The same question of pods without the label that opens the way to the API server: Kafka would not start."""
    label = "logsluice.io/kubernetes-api-client"
    there = [
        replace(pod, labels={key: value for key, value in pod.labels.items() if key != label})
        for pod in endpoints(manifests)
    ]
    open_edges = set(edges(policies(manifests), there))
    for pool in manifests.of("KafkaNodePool"):
        assert not {(pool, target) for target in API_SERVER.split()} & open_edges
