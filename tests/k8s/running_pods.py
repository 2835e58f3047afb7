"""Everything that runs in and around our namespaces, with the labels that it has when it runs."""

from __future__ import annotations

from collections.abc import Iterator

from tests.k8s import helm_values
from tests.k8s.k8s_manifests import Object, Overlay, Template
from tests.k8s.network_policies import Endpoint
from tests.k8s.strimzi_operator import entity_operator_pod, kafka_pods
from tests.k8s.strimzi_operator import network_policies as of_strimzi

SPARK_PORTS = {"driver": frozenset({"4040", "7078", "7079"}), "executor": frozenset({"7079"})}
"""What Spark adds to its templates, as the SparkApplications fix it."""
ELASTIC = {
    "elasticsearch": frozenset({"9200", "9300"}),
    "kibana": frozenset({"5601"}),
    "logstash": frozenset({"5044", "9600"}),
}


def endpoints(manifests: Overlay) -> list[Endpoint]:
    """Our pods, those that operators make of our resources, and whom they talk to elsewhere."""
    found = [_pod(manifests, _of_template(pods), pods) for pods in manifests.templates()]
    found += _of_strimzi(manifests)
    found += _of_eck(manifests)
    return [*found, *_elsewhere()]


def policies(manifests: Overlay) -> list[Object]:
    """Our network policies and those that Strimzi adds."""
    (kafka,) = manifests.of("Kafka").values()
    return [item for item in manifests.objects if item["kind"] == "NetworkPolicy"] + [*of_strimzi(kafka)]


def _name(pods: Template) -> str:
    return pods.owner.partition("/")[2]


def _of_template(pods: Template) -> frozenset[str]:
    ports = {str(port["containerPort"]) for container in pods.containers for port in container.get("ports", [])}
    return frozenset(ports) | (SPARK_PORTS[pods.owner.rpartition(" ")[2]] if pods.spark else frozenset())


def _pod(manifests: Overlay, listens: frozenset[str], pods: Template) -> Endpoint:
    namespace = pods.namespace
    return Endpoint(_name(pods), namespace, pods.labels, _namespace_labels(manifests, namespace), listens=listens)


def _namespace_labels(manifests: Overlay, name: str) -> dict[str, str]:
    labels: dict[str, str] = manifests.of("Namespace")[name]["metadata"]["labels"]
    return labels | {"kubernetes.io/metadata.name": name}


def _of_strimzi(manifests: Overlay) -> Iterator[Endpoint]:
    """One pod of each pool, and the entity operator's."""
    (kafka,) = manifests.of("Kafka").values()
    namespace = kafka["metadata"]["namespace"]
    pods = {name: next(kafka_pods(kafka, pool)) for name, pool in manifests.of("KafkaNodePool").items()}
    for name, pod in [*pods.items(), ("entity-operator", entity_operator_pod(kafka))]:
        listens = {str(port["containerPort"]) for entry in pod["spec"]["containers"] for port in entry["ports"]}
        labels = pod["metadata"]["labels"]
        yield Endpoint(name, namespace, labels, _namespace_labels(manifests, namespace), listens=frozenset(listens))


def _of_eck(manifests: Overlay) -> Iterator[Endpoint]:
    """One pod of each part, with the labels of our pod templates and those of ECK.

    These are of elastic/cloud-on-k8s v3.5.0, ``pkg/controller/elasticsearch/label/label.go``,
    ``pkg/controller/kibana/label/label.go`` and ``pkg/controller/logstash/labels/labels.go``.
    """
    stack = "prod" if manifests.name == "prod" else "dev"
    values = helm_values.values("eck-stack", stack)
    for part, listens in ELASTIC.items():
        own = values[f"eck-{part}"]
        template: Object = own["nodeSets"][0]["podTemplate"] if part == "elasticsearch" else own["podTemplate"]
        name = "cluster-name" if part == "elasticsearch" else "name"
        labels = template["metadata"]["labels"] | {
            "common.k8s.elastic.co/type": part,
            f"{part}.k8s.elastic.co/{name}": own["fullnameOverride"],
        }
        yield Endpoint(part, "logsluice", labels, _namespace_labels(manifests, "logsluice"), listens=listens)


def _elsewhere() -> Iterator[Endpoint]:
    """Operators and servers of other namespaces, as their charts label them, and addresses that are no pods."""
    for name, namespace, labels, listens in (
        ("prometheus", "monitoring", {"app.kubernetes.io/name": "prometheus"}, ["9090"]),
        ("grafana", "monitoring", {"app.kubernetes.io/name": "grafana"}, ["3000"]),
        ("strimzi", "strimzi", {"name": "strimzi-cluster-operator", "strimzi.io/kind": "cluster-operator"}, []),
        ("eck", "elastic-system", {"control-plane": "elastic-operator"}, ["9443"]),
        ("spark-operator", "spark-operator", {"app.kubernetes.io/name": "spark-operator"}, ["9443"]),
        ("traefik", "traefik", {"app.kubernetes.io/name": "traefik"}, ["8443"]),
        ("dns", "kube-system", {"k8s-app": "kube-dns"}, ["53", "UDP 53"]),
        ("shipper", "shop", {"logsluice.io/beats-client": "true"}, []),
        ("poster", "shop", {"logsluice.io/api-client": "true"}, []),
        ("stranger", "shop", {}, ["8080"]),
    ):
        space = {"kubernetes.io/metadata.name": namespace}
        yield Endpoint(name, namespace, labels, space, listens=frozenset(listens))
    for name, address, port in (
        ("kubernetes", "10.100.0.1", "443"),
        ("kubernetes-node", "192.168.49.2", "6443"),
        ("internet", "52.219.170.1", "443"),
        ("pod-identity", "169.254.170.23", "80"),
        ("instance-metadata", "169.254.169.254", "80"),
    ):
        yield Endpoint(name, address=address, listens=frozenset({port}))
