"""What Strimzi's cluster operator makes of our resources: Kafka's pods, the entity operator's pod, and their policies.

A model, as the operator is on no registry. Its behaviour is that of strimzi/strimzi-kafka-operator 1.2.0, of
``cluster-operator/src/main/java/io/strimzi/operator/cluster/model/``: ``KafkaPool.processTemplate`` (what a pool's
template says replaces what the Kafka resource's says, whole), ``KafkaCluster.generatePodSets``,
``.createInitContainer``, ``.getContainerPortList`` and ``.generateNetworkPolicy``,
``EntityOperator.generateDeployment`` and ``.generateNetworkPolicy``, ``WorkloadUtils.createStatefulPod`` and
``.createPodTemplateSpec``, ``NetworkPolicyUtils``; of ``operator-common``'s ``Labels``; of ``api``'s ``PodTemplate``
(its default of 30 s) and of the pod security provider that helm/strimzi-kafka-operator/values.yaml chooses,
``RestrictedPodSecurityProvider``, over ``BaselinePodSecurityProvider``. Left out is what no test asks for: images,
environment, probes, volumes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.k8s.k8s_manifests import Object

CONTROL_PLANE, REPLICATION, AGENT, METRICS = 9090, 9091, 8443, 9404
TOPIC_OPERATOR, USER_OPERATOR = 8080, 8081
_EXCLUDED = re.compile(r"^app\.kubernetes\.io/(?!part-of).*|^kustomize\.toolkit\.fluxcd\.io.*")
_RESTRICTED: Object = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
    "capabilities": {"drop": ["ALL"]},
}


def kafka_pods(kafka: Object, pool: Object) -> Iterator[Object]:
    """The pods of a node pool."""
    name = pool["metadata"]["name"]
    template = _kafka_template(kafka, pool)
    roles = set(pool["spec"]["roles"])
    broker = "broker" in roles
    labels = _labels(kafka, pool, f"{_cluster(kafka)}-kafka", "kafka") | {
        "strimzi.io/pool-name": name,
        "strimzi.io/broker-role": str(broker).lower(),
        "strimzi.io/controller-role": str("controller" in roles).lower(),
        "strimzi.io/controller": "strimzipodset",
        "strimzi.io/controller-name": f"{_cluster(kafka)}-{name}",
    }
    containers = [_container("kafka", template.get("kafkaContainer"), _ports(kafka, roles))]
    rack = kafka["spec"]["kafka"].get("rack") if broker else None
    inits = [_container("kafka-init", template.get("initContainer"), [])] if rack else []
    for number in range(pool["spec"]["replicas"]):
        pod = f"{_cluster(kafka)}-{name}-{number}"
        yield _pod(
            kafka,
            labels | {"strimzi.io/pod-name": pod},
            template.get("pod"),
            {"fsGroup": 0} if _is_persistent(pool["spec"]["storage"]) else None,
            {"initContainers": inits, "containers": containers},
        )


def entity_operator_pod(kafka: Object) -> Object:
    """The pod of the topic and the user operator."""
    spec = kafka["spec"]["entityOperator"]
    template = spec.get("template", {})
    containers = [
        _container(container, template.get(key), [port])
        for container, key, port in (
            ("topic-operator", "topicOperatorContainer", TOPIC_OPERATOR),
            ("user-operator", "userOperatorContainer", USER_OPERATOR),
        )
    ]
    labels = _labels(kafka, kafka, f"{_cluster(kafka)}-entity-operator", "entity-operator")
    return _pod(kafka, labels, template.get("pod"), None, {"containers": containers})


def network_policies(kafka: Object) -> Iterator[Object]:
    """The policies that the operator adds, for it runs with network policies on, which is its default."""
    cluster = _cluster(kafka)
    operator = {"podSelector": {"matchLabels": {"strimzi.io/kind": "cluster-operator"}}, "namespaceSelector": {}}
    brokers = {"strimzi.io/cluster": cluster, "strimzi.io/name": f"{cluster}-kafka", "strimzi.io/kind": "Kafka"}
    within = {"podSelector": {"matchLabels": brokers}}
    others = [
        {"podSelector": {"matchLabels": {"strimzi.io/name": f"{cluster}-{part}"}}}
        for part in ("entity-operator", "kafka-exporter", "cruise-control")
    ]
    rules = [
        _ingress(CONTROL_PLANE, [within, operator]),
        _ingress(REPLICATION, [operator, within, *others]),
        _ingress(AGENT, [operator]),
        *(_ingress(entry["port"], entry.get("networkPolicyPeers", [])) for entry in _listeners(kafka)),
    ]
    if "metricsConfig" in kafka["spec"]["kafka"]:
        rules.append(_ingress(METRICS, []))
    yield _policy(kafka, f"{cluster}-network-policy-kafka", brokers, rules)
    operators = brokers | {"strimzi.io/name": f"{cluster}-entity-operator"}
    rules = [_ingress(port, []) for port in (TOPIC_OPERATOR, USER_OPERATOR)]
    yield _policy(kafka, f"{cluster}-entity-operator", operators, rules)


def _cluster(kafka: Object) -> str:
    return str(kafka["metadata"]["name"])


def _listeners(kafka: Object) -> list[Object]:
    return list(kafka["spec"]["kafka"]["listeners"])


def _kafka_template(kafka: Object, pool: Object) -> Object:
    both: Object = dict(kafka["spec"]["kafka"].get("template", {}))
    return both | {key: value for key, value in pool["spec"].get("template", {}).items() if value is not None}


def _labels(kafka: Object, owner: Object, name: str, component: str) -> dict[str, str]:
    given = {key: value for key, value in owner["metadata"].get("labels", {}).items() if not _EXCLUDED.match(key)}
    return _additional(given) | {
        "strimzi.io/kind": "Kafka",
        "strimzi.io/name": name,
        "strimzi.io/cluster": _cluster(kafka),
        "strimzi.io/component-type": component,
        "app.kubernetes.io/name": component,
        "app.kubernetes.io/instance": _cluster(kafka),
        "app.kubernetes.io/part-of": f"strimzi-{_cluster(kafka)}",
        "app.kubernetes.io/managed-by": "strimzi-cluster-operator",
    }


def _additional(labels: dict[str, str]) -> dict[str, str]:
    for key in labels:
        allowed = not key.startswith("strimzi.io/") or key.startswith("strimzi.io/cluster")
        assert allowed, f"the operator refuses the label {key}"
    return labels


def _ports(kafka: Object, roles: set[str]) -> list[int]:
    ports = [AGENT]
    ports += [CONTROL_PLANE] if "controller" in roles else []
    ports += [REPLICATION, *(entry["port"] for entry in _listeners(kafka))] if "broker" in roles else []
    return ports + ([METRICS] if "metricsConfig" in kafka["spec"]["kafka"] else [])


def _is_persistent(storage: Object) -> bool:
    volumes = storage["volumes"] if storage["type"] == "jbod" else [storage]
    return any(volume["type"] == "persistent-claim" for volume in volumes)


def _container(name: str, template: Object | None, ports: list[int]) -> Object:
    context = (template or {}).get("securityContext") or _RESTRICTED
    return {"name": name, "securityContext": context, "ports": [{"containerPort": port} for port in ports]}


def _pod(
    kafka: Object, labels: dict[str, str], given: Object | None, context: Object | None, containers: Object
) -> Object:
    template = given or {}
    own = _additional(template.get("metadata", {}).get("labels", {}))
    kept = ("affinity", "tolerations", "topologySpreadConstraints", "enableServiceLinks", "priorityClassName")
    spec: dict[str, Any] = {key: template[key] for key in kept if key in template}
    return {
        "metadata": {"namespace": kafka["metadata"]["namespace"], "labels": labels | own},
        "spec": spec
        | {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": template.get("terminationGracePeriodSeconds", 30),
            "securityContext": template.get("securityContext") or context,
        }
        | containers,
    }


def _ingress(port: int, peers: list[Object]) -> Object:
    return {"ports": [{"port": port, "protocol": "TCP"}], "from": peers}


def _policy(kafka: Object, name: str, selected: dict[str, str], ingress: list[Object]) -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": kafka["metadata"]["namespace"]},
        "spec": {"podSelector": {"matchLabels": selected}, "ingress": ingress},
    }
