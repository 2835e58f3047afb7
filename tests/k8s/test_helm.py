"""What can be said of helm/ without a chart: the list, the files, the names, the differences between environments."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.k8s.helm_values import BY_STACK, HELM, RELEASES, STACKS, leaves, own_values, texts, values
from tests.k8s.k8s_manifests import ROOT
from tests.shared.logstash_pipeline import pipeline_text

NAMES = [release["name"] for release in RELEASES]
NAMESPACES = {
    "cert-manager": "cert-manager",
    "kube-prometheus-stack": "monitoring",
    "cluster-autoscaler": "kube-system",
    "traefik": "traefik",
    "strimzi-kafka-operator": "strimzi",
    "eck-operator": "elastic-system",
    "eck-stack": "logsluice",
    "spark-operator": "spark-operator",
}


def test_each_release_says_what_it_is_and_where_it_comes_from() -> None:
    required = {"name", "chart", "repository", "version", "namespace", "stacks"}
    for release in RELEASES:
        assert required <= set(release) <= required | {"after", "crds", "crds_switch", "stateful"}, release["name"]
        assert release["stacks"]
        assert set(release["stacks"]) <= set(STACKS)
        assert re.match(r"(https|oci)://", release["repository"])
    assert len(set(NAMES)) == len(NAMES)


def test_versions_are_exact() -> None:
    for release in RELEASES:
        assert re.fullmatch(r"v?\d+\.\d+\.\d+", release["version"]), release["name"]


def test_releases_go_where_the_design_puts_them() -> None:
    assert {release["name"]: release["namespace"] for release in RELEASES} == NAMESPACES


def test_what_owns_volumes_is_marked_as_such() -> None:
    assert [release["name"] for release in RELEASES if release.get("stateful")] == ["eck-stack"]


def test_order_names_releases_that_the_same_stacks_have() -> None:
    stacks = {release["name"]: set(release["stacks"]) for release in RELEASES}
    for release in RELEASES:
        for need in release.get("after", []):
            assert stacks[release["name"]] <= stacks[need], f"{release['name']} after {need}"


def test_what_makes_custom_resources_comes_after_what_defines_them() -> None:
    after = {release["name"]: set(release.get("after", [])) for release in RELEASES}
    assert {"eck-operator", "cert-manager", "traefik"} <= after["eck-stack"]
    for name in ("traefik", "eck-operator", "cluster-autoscaler"):  # ServiceMonitors and PodMonitors
        assert "kube-prometheus-stack" in after[name]
    assert "cert-manager" in after["kube-prometheus-stack"]  # an Issuer in prod


def test_every_release_has_a_folder_and_every_folder_a_release() -> None:
    assert sorted(path.name for path in HELM.iterdir() if path.is_dir()) == sorted(NAMES)


def test_every_file_of_values_is_for_a_stack_that_has_the_release() -> None:
    stacks = {release["name"]: release["stacks"] for release in RELEASES}
    for name in NAMES:
        allowed = {"values.yaml", *(f"values-{stack}.yaml" for stack in stacks[name])}
        found = {path.name for path in (HELM / name).iterdir()}
        assert "values.yaml" in found
        assert found <= allowed, f"{name}: {sorted(found - allowed)}"


@pytest.mark.parametrize(("name", "stack"), BY_STACK)
def test_a_stack_repeats_nothing_of_the_common_values(name: str, stack: str) -> None:
    common = {leaf.path: leaf.value for leaf in leaves(own_values(name))}
    for leaf in leaves(own_values(name, stack)):
        assert common.get(leaf.path, object()) != leaf.value, f"{name}/{stack}: {'.'.join(leaf.path)}"


SECRETIVE = re.compile(r"(?i)(password|passwd|secret|token|api_?key|private_?key)$")


@pytest.mark.parametrize(("name", "stack"), BY_STACK)
def test_no_values_carry_a_secret(name: str, stack: str) -> None:
    for key, value in texts(values(name, stack)):
        assert not (SECRETIVE.search(key) and isinstance(value, str) and value), f"{name}/{stack}: {key}"
        if key == "env":
            for entry in value:
                assert not (SECRETIVE.search(entry["name"]) and "value" in entry), entry["name"]


@pytest.mark.parametrize(("name", "stack"), BY_STACK)
def test_whatever_has_resources_has_requests_and_limits(name: str, stack: str) -> None:
    for key, value in texts(values(name, stack)):
        if key == "resources" and isinstance(value, dict) and "limits" in value:
            assert set(value["requests"]) == {"cpu", "memory"}, f"{name}/{stack}"
            assert set(value["limits"]) == {"cpu", "memory"}, f"{name}/{stack}"


DIFFERENCES = {
    # release: what prod sets that dev does not, and the other way round, and what both set differently
    "cert-manager": {"replicaCount", "podDisruptionBudget", "webhook", "cainjector"},
    "cluster-autoscaler": {"replicaCount"},
    "eck-operator": {"replicaCount", "podDisruptionBudget"},
    "eck-stack": {"eck-elasticsearch", "eck-kibana", "eck-logstash", "extraObjects"},
    "kube-prometheus-stack": {"prometheus", "alertmanager", "grafana", "prometheusOperator", "extraManifests"},
    "spark-operator": {"controller", "webhook"},
    "strimzi-kafka-operator": {"replicas", "podDisruptionBudget", "topologySpreadConstraints"},
    "traefik": {"deployment", "topologySpreadConstraints", "service", "extraObjects"},
}


@pytest.mark.parametrize("name", NAMES)
def test_dev_and_prod_differ_in_these_values_alone(name: str) -> None:
    dev, prod = values(name, "dev"), values(name, "prod")
    assert {key for key in dev.keys() | prod.keys() if dev.get(key) != prod.get(key)} == DIFFERENCES[name]


def _stack(stack: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    found = values("eck-stack", stack)
    return found["eck-elasticsearch"], found["eck-kibana"], found["eck-logstash"]


@pytest.mark.parametrize("stack", STACKS)
def test_the_elastic_resources_have_the_names_that_workloads_use(stack: str) -> None:
    elasticsearch, kibana, logstash = _stack(stack)
    cluster = f"{'prod' if stack == 'prod' else 'dev'}-elasticsearch-cluster"
    assert elasticsearch["fullnameOverride"] == cluster
    assert (kibana["fullnameOverride"], logstash["fullnameOverride"]) == ("logsluice-kibana", "logsluice-logstash")
    assert kibana["elasticsearchRef"] == {"name": cluster}
    assert logstash["elasticsearchRefs"] == [{"name": cluster, "clusterName": "logsluice"}]
    assert elasticsearch["version"] == kibana["version"] == logstash["version"]


def test_the_nodes_are_one_in_dev_and_three_masters_and_data_nodes_over_zones_in_prod() -> None:
    dev, prod = _stack("dev")[0]["nodeSets"], _stack("prod")[0]["nodeSets"]
    assert [(nodes["name"], nodes["count"]) for nodes in dev] == [("default", 1)]
    assert [(nodes["name"], nodes["count"]) for nodes in prod] == [("master", 3), ("data", 3)]
    assert all(nodes["zoneAwareness"] == {"topologyKey": "topology.kubernetes.io/zone"} for nodes in prod)
    assert [nodes["config"]["node.roles"] for nodes in prod] == [["master"], ["data", "ingest", "transform"]]


@pytest.mark.parametrize("stack", STACKS)
def test_no_server_makes_an_index_in_an_aliass_place(stack: str) -> None:
    for nodes in _stack(stack)[0]["nodeSets"]:
        assert nodes["config"]["action.auto_create_index"] == "-*-index,+*"


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_snapshots_use_the_identity_and_region_that_infra_gives(stack: str) -> None:
    elasticsearch = _stack(stack)[0]
    region = yaml.safe_load((ROOT / "infra" / f"Pulumi.{stack}.yaml").read_text())["config"]["aws:region"]
    for nodes in elasticsearch["nodeSets"]:
        assert nodes["config"]["s3.client.default.region"] == region
        spec = nodes["podTemplate"]["spec"]
        # What the pods run as; test_k8s_eck.py asks the operator. The resource's own field is about other namespaces.
        assert spec["serviceAccountName"] == "elasticsearch"
        [source] = spec["volumes"][0]["projected"]["sources"]
        mount = spec["containers"][0]["volumeMounts"][0]["mountPath"]
        environment = {entry["name"]: entry["value"] for entry in spec["containers"][0]["env"]}
        token = f"{mount}/{source['serviceAccountToken']['path']}"
        assert environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] == token


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_state_lies_on_encrypted_volumes_and_data_nodes(stack: str) -> None:
    elasticsearch, _, logstash = _stack(stack)
    claims = [claim for nodes in elasticsearch["nodeSets"] for claim in nodes["volumeClaimTemplates"]]
    monitoring = values("kube-prometheus-stack", stack)
    claims += logstash["volumeClaimTemplates"]
    claims.append(monitoring["prometheus"]["prometheusSpec"]["storageSpec"]["volumeClaimTemplate"])
    claims.append(monitoring["alertmanager"]["alertmanagerSpec"]["storage"]["volumeClaimTemplate"])
    assert {claim["spec"]["storageClassName"] for claim in claims} == {"gp3"}
    for nodes in elasticsearch["nodeSets"]:
        assert nodes["podTemplate"]["spec"]["nodeSelector"] == {"logsluice.io/node-group": "data"}


@pytest.mark.parametrize("stack", STACKS)
def test_pods_of_ours_meet_pod_security_restricted(stack: str) -> None:
    elasticsearch, kibana, logstash = _stack(stack)
    specs = [nodes["podTemplate"]["spec"] for nodes in elasticsearch["nodeSets"]]
    specs += [kibana["podTemplate"]["spec"], logstash["podTemplate"]["spec"]]
    for spec in specs:
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
    # ECK hardens its other containers itself, those of Logstash it leaves as they are.
    spec = logstash["podTemplate"]["spec"]
    for container in (*spec["initContainers"], *spec["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.parametrize("stack", STACKS)
def test_logstash_runs_the_file_of_config(stack: str) -> None:
    logstash = _stack(stack)[2]
    spec = logstash["podTemplate"]["spec"]
    [pipeline] = logstash["pipelines"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
    assert volumes[mounts[pipeline["path.config"]]]["configMap"] == {"name": "logsluice-logstash-pipeline"}
    assert logstash["config"]["queue.type"] == "persisted"
    assert logstash["config"]["dead_letter_queue.enable"] is True


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_logstash_is_given_every_variable_that_its_pipeline_asks_for(environment: str) -> None:
    variables = set(re.findall(r"\$\{(\w+)", pipeline_text(environment)))
    [container] = _stack(environment)[2]["podTemplate"]["spec"]["containers"]
    by_eck = {f"LOGSLUICE_ES_{part}" for part in ("HOSTS", "USER", "PASSWORD", "SSL_CERTIFICATE_AUTHORITY")}
    assert variables == {entry["name"] for entry in container["env"]} - {"LS_JAVA_OPTS"} | by_eck


def test_grafana_is_reached_by_node_port_in_dev_and_by_tls_in_prod() -> None:
    dev, prod = values("kube-prometheus-stack", "dev")["grafana"], values("kube-prometheus-stack", "prod")["grafana"]
    assert dev["service"]["type"] == "NodePort"
    assert "ingress" not in dev
    assert "service" not in prod
    assert prod["ingress"]["tls"][0]["hosts"] == prod["ingress"]["hosts"]


@pytest.mark.parametrize("stack", STACKS)
def test_prometheus_takes_monitors_and_rules_of_every_release_and_workload(stack: str) -> None:
    spec = values("kube-prometheus-stack", stack)["prometheus"]["prometheusSpec"]
    for what in ("serviceMonitor", "podMonitor", "probe", "scrapeConfig", "rule"):
        assert spec[f"{what}SelectorNilUsesHelmValues"] is False
    assert spec["retention"]


def test_operators_watch_the_workloads_namespaces_alone() -> None:
    assert values("strimzi-kafka-operator", "prod")["watchNamespaces"] == ["logsluice"]
    assert values("eck-operator", "prod")["managedNamespaces"] == ["logsluice"]
    assert values("spark-operator", "prod")["spark"]["jobNamespaces"] == ["logsluice-spark"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        # The chart (3.5.0, templates/statefulset.yaml) has no readiness probe: ready says nothing of the webhook.
        ("eck-operator", ("webhook",)),
        # Its own rules are of a kind that Helm makes last, after the webhook's configuration (kind_sorter.go).
        ("kube-prometheus-stack", ("prometheusOperator", "admissionWebhooks")),
    ],
)
@pytest.mark.parametrize("stack", STACKS)
def test_no_webhook_refuses_what_is_made_before_it_can_answer(name: str, path: tuple[str, ...], stack: str) -> None:
    """The releases are atomic: the first `up` would roll back. The charts' default is to ask where one answers."""
    found = values(name, stack)
    for key in path:
        found = found[key]
    assert found.get("failurePolicy", "Ignore") == "Ignore"


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_elasticsearch_is_the_same_cluster_under_compose(environment: str) -> None:
    server = yaml.safe_load((ROOT / "config" / environment / "elasticsearch.yml").read_text())
    elasticsearch = _stack(environment)[0]
    assert server["cluster.name"] == elasticsearch["fullnameOverride"]
    assert server["action.auto_create_index"] == elasticsearch["nodeSets"][0]["config"]["action.auto_create_index"]
    assert server["xpack.security.enabled"] is (environment == "prod")


def test_the_environments_pipelines_differ_in_these_lines_alone() -> None:
    dev, prod = (pipeline_text(name).splitlines() for name in ("dev", "prod"))
    assert len(dev) == len(prod)
    assert [(mine.strip(), theirs.strip()) for mine, theirs in zip(dev, prod, strict=True) if mine != theirs][1:] == [
        ('topics => ["logs-topic"]', 'topics => ["prod-logs-topic"]'),
        ("consumer_threads => 1", "consumer_threads => 3"),
        ('topics => ["logs-topic-dlq"]', 'topics => ["prod-logs-topic-dlq"]'),
        ('"[@metadata][environment]" => "dev"', '"[@metadata][environment]" => "prod"'),
        ('"[@metadata][topic]" => "logs-topic"', '"[@metadata][topic]" => "prod-logs-topic"'),
    ]
