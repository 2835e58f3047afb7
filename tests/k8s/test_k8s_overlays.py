"""Every object of every overlay, with no cluster."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from logsluice import __version__
from logsluice.elasticsearch.roles import roles
from logsluice.kubernetes.secrets import parse_copy
from logsluice.provision.setup import topic_plans
from logsluice.runtime.yaml_files import environment_file
from logsluice.settings import Settings, load_settings
from tests.k8s import helm_values
from tests.k8s.k8s_manifests import OVERLAYS, ROOT, SPARK, Object, Overlay, Template, identity, overlay
from tests.k8s.network_policies import selects
from tests.k8s.operator_definitions import definitions
from tests.k8s.running_pods import endpoints
from tests.shared.logstash_pipeline import pipeline_files
from tests.shared.shared_folder import tool

NAMESPACE = "logsluice"
NAMES = ("name", "component", "part-of", "managed-by")
USERS = "k8s/base/kafka/users.yaml"
STRIMZI_CA = "logsluice-kafka-cluster-ca-cert"
PROMETHEUS = {"kubernetes.io/metadata.name": "monitoring"}
OPERATORS = {"kafka.strimzi.io", "monitoring.coreos.com", "sparkoperator.k8s.io"}
SPARK_PORTS = {"spark-ui": 4040}
OTHERS_IMAGES = {
    "elasticsearch-exporter": "quay.io/prometheuscommunity/elasticsearch-exporter:v1.11.0",
    "redis": "redis:7.2.16",
}
# A page, and what has no metrics of ours.
WITHOUT_METRICS = {"Deployment/dashboard", "Deployment/redis", "Deployment/schema-registry"}


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> Overlay:
    return overlay(request.param)


def test_every_object_is_labelled_and_in_the_namespace(manifests: Overlay) -> None:
    for item in manifests.objects:
        labels = item["metadata"].get("labels", {})
        missing = [name for name in NAMES if f"app.kubernetes.io/{name}" not in labels]
        assert not missing, identity(item)
        assert labels["app.kubernetes.io/part-of"] == "logsluice", identity(item)
        if item["kind"] == "Namespace":
            assert item["metadata"]["name"] in (NAMESPACE, SPARK)
        else:
            assert item["metadata"].get("namespace") in (NAMESPACE, SPARK), identity(item)


def test_the_namespaces_take_only_restricted_pods(manifests: Overlay) -> None:
    # The stack makes the namespaces before the overlay does, from the file as it stands.
    raw = yaml.safe_load_all((ROOT / "k8s/base/network/namespace.yaml").read_text())
    stated = {item["metadata"]["name"]: item["metadata"]["labels"] for item in raw}
    assert stated.keys() == manifests.of("Namespace").keys() == {NAMESPACE, SPARK}
    for name, namespace in manifests.of("Namespace").items():
        labels = namespace["metadata"]["labels"]
        for what in ("enforce", "audit", "warn"):
            assert labels[f"pod-security.kubernetes.io/{what}"] == "restricted"
        assert stated[name] == labels


def test_spark_has_a_namespace_with_nothing_in_it_but_its_own(manifests: Overlay) -> None:
    """Who may make pods in a namespace has every secret, account and volume of it."""
    there = {item["kind"] for item in manifests.objects if item["metadata"].get("namespace") == SPARK}
    assert there <= {
        "ConfigMap",
        "LimitRange",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "ResourceQuota",
        "Role",
        "RoleBinding",
        "ScheduledSparkApplication",
        "ServiceAccount",
        "SparkApplication",
    }
    assert set(manifests.of("ServiceAccount", SPARK)) == {"spark-driver", "spark-executor"}
    for kind in ("SparkApplication", "ScheduledSparkApplication"):
        assert all(item["metadata"]["namespace"] == SPARK for item in manifests.of(kind).values())
    limited = {kind: set(manifests.of(kind, SPARK)) for kind in ("LimitRange", "ResourceQuota")}
    assert limited == {"LimitRange": {"containers"}, "ResourceQuota": {"namespace"}}


def test_what_spark_needs_of_others_secrets_is_brought_and_nothing_else(manifests: Overlay) -> None:
    (container,) = manifests.of("Deployment")["spark-secrets"]["spec"]["template"]["spec"]["containers"]
    copies = [parse_copy(word) for word in container["args"] if ":" in word]
    assert container["args"][:5] == [
        "python", "-m", "logsluice.kubernetes.secrets", f"--source={NAMESPACE}", f"--target={SPARK}"
    ]  # fmt: skip
    named = {
        (secret, key) for pods in manifests.templates() if pods.namespace == SPARK for secret, key in _secrets_of(pods)
    }
    # The producer is not in prod, where its user is.
    assert {(copy.target, copy.key) for copy in copies} - {("producer", "password")} == named - {
        ("producer", "password")
    }
    source, target = (manifests.of("Role", where)["spark-secrets"]["rules"] for where in (NAMESPACE, SPARK))
    assert source == [_rule({copy.source for copy in copies}, source, ["get"])]
    assert target == [_rule({copy.target for copy in copies}, target, ["get", "create", "patch"])]
    for where in (NAMESPACE, SPARK):
        binding = manifests.of("RoleBinding", where)["spark-secrets"]
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "spark-secrets", "namespace": NAMESPACE}]


def _rule(names: set[str], written: list[Object], verbs: list[str]) -> Object:
    ordered = [name for name in written[0]["resourceNames"] if name in names]
    assert set(ordered) == names
    return {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ordered, "verbs": verbs}


def _secrets_of(pods: Template) -> Iterator[tuple[str, str]]:
    """The secrets, and their keys, that pods name."""
    for container in pods.containers:
        for variable in container.get("env", []):
            if secret := variable.get("valueFrom", {}).get("secretKeyRef"):
                yield secret["name"], secret["key"]
    for volume in pods.template["spec"]["volumes"]:
        for entry in volume.get("secret", {}).get("items", []):
            yield volume["secret"]["secretName"], entry["key"]


def test_every_pod_has_the_least_it_needs(manifests: Overlay) -> None:
    for pods in manifests.templates():
        spec = pods.template["spec"]
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True, pods.owner
        assert context["runAsUser"] == 10001, pods.owner
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, pods.owner
        assert spec["enableServiceLinks"] is False, pods.owner
        calls_api = pods.owner.endswith(" driver") or pods.owner == "Deployment/spark-secrets"
        assert spec["automountServiceAccountToken"] is calls_api, pods.owner
        for container in pods.containers:
            where = f"{pods.owner}: {container['name']}"
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, where
            mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
            assert len(set(mounts)) == len(mounts), where
            if container.get("image") not in OTHERS_IMAGES.values():
                assert {"/tmp", "/var/lib/logsluice"} <= set(mounts), where
        volumes = {volume["name"] for volume in spec["volumes"]}
        mounted = {mount["name"] for container in pods.containers for mount in container["volumeMounts"]}
        assert volumes == mounted, pods.owner
        for volume in spec["volumes"]:
            assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"], pods.owner


def test_every_container_asks_for_what_it_needs_and_has_a_limit(manifests: Overlay) -> None:
    for pods in manifests.templates():
        for container in pods.containers if not pods.spark else []:
            for what in ("requests", "limits"):
                assert set(container["resources"][what]) == {"cpu", "memory"}, pods.owner
    for name, spec in manifests.spark().items():
        for role in ("driver", "executor"):
            # Spark makes request and limit of memory of these two, and those of the CPU of the others.
            assert spec[role]["memory"], name
            if name != "producer-job" or role == "driver":
                assert spec[role]["memoryOverhead"], name
                assert spec[role]["coreRequest"], name
                assert spec[role]["coreLimit"], name


def test_every_server_is_probed(manifests: Overlay) -> None:
    for pods in manifests.templates():
        for container in pods.containers:
            ports = {port["name"] for port in container.get("ports", [])}
            probes = {name: probe for name, probe in container.items() if name.endswith("Probe")}
            assert bool(ports) == bool(probes), pods.owner
            if ports:
                assert {"livenessProbe", "readinessProbe"} <= set(probes), pods.owner
            for probe in probes.values():
                if "exec" not in probe:
                    assert (probe.get("httpGet") or probe["tcpSocket"])["port"] in ports, pods.owner


def test_a_driver_may_ask_the_cluster_for_pods_and_nothing_else(manifests: Overlay) -> None:
    assert set(manifests.of("RoleBinding", SPARK)) == {"spark-driver", "spark-secrets"}
    assert set(manifests.of("RoleBinding", NAMESPACE)) == {"spark-secrets"}
    binding = manifests.of("RoleBinding", SPARK)["spark-driver"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "spark-driver", "namespace": SPARK}]
    (rule,) = manifests.of("Role", SPARK)["spark-driver"]["rules"]
    assert (rule["apiGroups"], rule["resources"]) == ([""], ["pods"])
    assert set(rule["verbs"]) == {"get", "list", "watch", "create", "delete", "deletecollection"}
    # By themselves drivers would delete what else carries their label.
    for name, spec in manifests.spark().items():
        for key, value in {
            "driver.service.deleteOnTermination": "false",
            "driver.ownPersistentVolumeClaim": "false",
            "driver.reusePersistentVolumeClaim": "false",
            "executor.disableConfigMap": "true",
        }.items():
            assert spec["sparkConf"][f"spark.kubernetes.{key}"] == value, name
    accounts = manifests.of("ServiceAccount")
    for account in accounts.values():
        assert account["automountServiceAccountToken"] is False
    for name, spec in manifests.spark().items():
        assert (spec["driver"]["serviceAccount"], spec["executor"]["serviceAccount"]) == (
            "spark-driver",
            "spark-executor",
        ), name
    for pods in manifests.templates():
        if not pods.spark:
            assert pods.template["spec"]["serviceAccountName"] in accounts, pods.owner


def test_every_name_that_is_referred_to_is_there(manifests: Overlay) -> None:
    """ConfigMaps of ours, and secrets that the operators write for objects of ours."""
    cluster = f"{manifests.environment}-elasticsearch-cluster"
    secrets: dict[str, set[str]] = {name: {"password"} for name in manifests.of("KafkaUser")}
    secrets[STRIMZI_CA] = {"ca.crt"}
    secrets["alerts-webhook"] = {"url", "secret"}  # made by hand, where a webhook is wanted
    secrets["api-keys"] = {"keys.yaml"}  # by hand too, as the files say
    secrets["redis"] = {"password", "url", "cache-url"}
    for user in helm_values.values("eck-stack", manifests.environment)["eck-elasticsearch"]["auth"]["fileRealm"]:
        secrets[user["secretName"]] = {"username", "password"}
    secrets[f"{cluster}-es-elastic-user"] = {"elastic"}
    secrets[f"{cluster}-es-http-certs-public"] = {"ca.crt"}
    secrets["logsluice-kibana-kb-http-certs-public"] = {"ca.crt"}
    (syncing,) = manifests.of("Deployment")["spark-secrets"]["spec"]["template"]["spec"]["containers"]
    copies = [parse_copy(word) for word in syncing["args"] if ":" in word]
    for copy in copies:
        assert copy.key in secrets[copy.source], copy
    everywhere = {NAMESPACE: secrets, SPARK: {copy.target: {copy.key} for copy in copies}}
    for pods in manifests.templates():
        maps = manifests.of("ConfigMap", pods.namespace)
        for secret, key in _secrets_of(pods):
            assert key in everywhere[pods.namespace][secret], pods.owner
        for container in pods.containers:
            for source in container.get("envFrom", []):
                assert source["configMapRef"]["name"] in maps, pods.owner
            for variable in container.get("env", []):
                reference = variable.get("valueFrom", {})
                if values := reference.get("configMapKeyRef"):
                    assert values["key"] in maps[values["name"]]["data"], pods.owner
        for volume in pods.template["spec"]["volumes"]:
            if "configMap" in volume:
                assert volume["configMap"]["name"] in maps, pods.owner
            assert "secret" not in volume or volume["secret"]["items"], pods.owner
            if "persistentVolumeClaim" in volume:
                claims = manifests.of("PersistentVolumeClaim", pods.namespace)
                assert volume["persistentVolumeClaim"]["claimName"] in claims
    maps = manifests.of("ConfigMap", NAMESPACE)
    metrics = manifests.of("Kafka")["logsluice-kafka"]["spec"]["kafka"]["metricsConfig"]["valueFrom"]["configMapKeyRef"]
    assert metrics["key"] in maps[metrics["name"]]["data"]


def test_every_workload_signs_in_to_elasticsearch_as_itself(manifests: Overlay) -> None:
    """`elastic`, who may do everything, is the user of what sets up templates alone."""
    users: dict[str, str] = {}
    for pods in manifests.templates():
        for container in pods.containers:
            given = {entry["name"]: entry for entry in container.get("env", [])}
            for prefix in ("LOGSLUICE_ELASTICSEARCH__", "ES_"):
                if f"{prefix}USERNAME" in given:
                    secret = given[f"{prefix}PASSWORD"]["valueFrom"]["secretKeyRef"]
                    user = given[f"{prefix}USERNAME"]["value"]
                    users[pods.owner] = user
                    if user != "elastic":
                        assert secret == {"name": f"{user}-elasticsearch", "key": "password"}, pods.owner
    assert users.pop("Deployment/setup") == "elastic"
    assert {owner.rpartition("/")[2].removesuffix(" driver"): user for owner, user in users.items()} == {
        name: name for name in roles(load_settings(ROOT / "config" / "dev")) if name != "logstash"
    }


def test_the_folder_of_the_environment_is_what_is_mounted(manifests: Overlay) -> None:
    maps = manifests.of("ConfigMap", NAMESPACE)
    (config,) = (item for name, item in maps.items() if name.startswith("logsluice-config-"))
    theirs = manifests.of("ConfigMap", SPARK)
    assert theirs[config["metadata"]["name"]]["data"] == config["data"]
    (surroundings,) = (item for name, item in maps.items() if name.startswith("logsluice-environment-"))
    assert theirs[surroundings["metadata"]["name"]]["data"] == surroundings["data"]
    assert len(theirs) == 2
    pipeline = maps["logsluice-logstash-pipeline"]
    folder = ROOT / "config" / manifests.environment
    for name, text in config["data"].items():
        assert text == environment_file(folder, name).read_text()
    assert {"settings.yaml", "patterns.yaml", "alerts.yaml"} <= set(config["data"])
    assert pipeline["data"] == pipeline_files(manifests.environment)


def _environment(manifests: Overlay, pods: Template) -> dict[str, str]:
    """The variables of a pod's first container; secrets have the value ``secret``."""
    container = pods.containers[0]
    maps = manifests.of("ConfigMap", pods.namespace)
    variables: dict[str, str] = {}
    for source in container.get("envFrom", []):
        variables |= maps[source["configMapRef"]["name"]]["data"]
    for entry in container.get("env", []):
        values = entry.get("valueFrom", {}).get("configMapKeyRef")
        variables[entry["name"]] = (
            maps[values["name"]]["data"][values["key"]] if values else entry.get("value", "secret")
        )
    return variables


def _leaf_exists(name: str) -> bool:
    fields: Any = Settings.model_fields
    *sections, leaf = name.removeprefix("LOGSLUICE_").lower().split("__")
    for section in sections:
        fields = fields[section].annotation.model_fields if section in fields else {}
    return leaf in fields


def test_every_variable_is_a_setting_and_all_of_them_together_load(
    manifests: Overlay, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = 0
    for pods in manifests.templates():
        ours = {name: value for name, value in _environment(manifests, pods).items() if name.startswith("LOGSLUICE_")}
        for name in ours:
            assert name == "LOGSLUICE_CONFIG" or _leaf_exists(name), f"{pods.owner}: {name}"
        if "LOGSLUICE_CONFIG" not in ours:
            continue
        assert ours.pop("LOGSLUICE_CONFIG") == "/etc/logsluice"
        with monkeypatch.context() as patch:
            for name, value in ours.items():
                patch.setenv(name, value)
            settings = load_settings(ROOT / "config" / manifests.environment)
        loaded += 1
        assert settings.env == manifests.environment, pods.owner
        mounts = {mount["mountPath"] for mount in pods.containers[0]["volumeMounts"]}
        if "elasticsearch-client" in str(pods.labels):
            assert (
                settings.elasticsearch.hosts
                == f"https://{settings.env}-elasticsearch-cluster-es-http.logsluice.svc:9200"
            )
            assert str(settings.elasticsearch.ca_certs) == "/etc/logsluice-tls/elasticsearch/ca.crt"
            assert "/etc/logsluice-tls/elasticsearch" in mounts, pods.owner
        if "kibana-client" in str(pods.labels):
            assert settings.kibana.host == "https://logsluice-kibana-kb-http:5601"
            assert str(settings.kibana.ca_certs) == "/etc/logsluice-tls/kibana/ca.crt"
            assert settings.kibana.password, pods.owner
            assert "/etc/logsluice-tls/kibana" in mounts, pods.owner
        if "kafka-client" in str(pods.labels):
            assert settings.kafka.security_protocol == "SASL_SSL", pods.owner
            assert settings.kafka.username in manifests.of("KafkaUser"), pods.owner
            assert str(settings.kafka.ssl_cafile) == "/etc/logsluice-tls/kafka/ca.crt"
            assert "/etc/logsluice-tls/kafka" in mounts, pods.owner
        if pods.containers[0].get("ports"):
            (port,) = (entry["containerPort"] for entry in pods.containers[0]["ports"])
            if pods.owner == "Deployment/api":
                assert pods.containers[0]["args"][-2:] == ["--host", "0.0.0.0"]
                assert (port, str(settings.api.keys_file)) == (settings.api.port, "/etc/logsluice-api/keys.yaml")
                assert "/etc/logsluice-api" in mounts
                continue
            if pods.owner == "Deployment/dashboard":
                assert pods.containers[0]["args"][-2:] == ["--host", "0.0.0.0"]
                assert port == settings.dashboard.port
                continue
            assert settings.metrics.host == "0.0.0.0", pods.owner
            served = settings.metrics
            assert port in {served.app_service, served.producer, served.regex, served.windows, served.alerts}, (
                pods.owner
            )
    assert loaded >= 4


def test_topics_are_those_that_setup_makes_elsewhere(manifests: Overlay) -> None:
    plans = {plan.name: plan for plan in topic_plans(load_settings(ROOT / "config" / manifests.environment))}
    topics = {item["spec"]["topicName"]: item["spec"] for item in manifests.of("KafkaTopic").values()}
    assert set(topics) == set(plans)
    for name, plan in plans.items():
        spec = topics[name]
        assert (spec["partitions"], spec["replicas"]) == (plan.partitions, plan.replication_factor)
        config = {key: str(value) for key, value in spec["config"].items()}
        assert int(config.pop("retention.ms")) >= 24 * 60 * 60 * 1000
        assert config == plan.configs


def _rights(users: dict[str, Object]) -> dict[str, set[tuple[str, ...]]]:
    return {
        name: {
            (rule["resource"]["type"], rule["resource"]["name"], *rule["operations"])
            for rule in item["spec"]["authorization"]["acls"]
        }
        for name, item in users.items()
    }


def test_each_user_has_its_rights_on_the_topics_of_its_environment(manifests: Overlay) -> None:
    """Which rights each needs is asked of a real broker, in tests/local/test_kafka_users.py."""
    settings = load_settings(ROOT / "config" / manifests.environment).kafka
    base = {item["metadata"]["name"]: item for item in yaml.safe_load_all((ROOT / USERS).read_text())}
    topics = {
        "logs-topic": settings.topic,
        "logs-topic-dlq": settings.dead_letter_topic,
        "alerts-topic": settings.alerts_topic,
    }
    wanted = {
        name: {
            (kind, topics[resource] if kind == "topic" else resource, *operations)
            for kind, resource, *operations in rights
        }
        for name, rights in _rights(base).items()
    }
    assert _rights(manifests.of("KafkaUser")) == wanted
    for item in manifests.of("KafkaUser").values():
        assert item["spec"]["authentication"] == {"type": "scram-sha-512"}


def test_kafka_speaks_tls_to_known_users_only(manifests: Overlay) -> None:
    kafka = manifests.of("Kafka")["logsluice-kafka"]["spec"]["kafka"]
    (listener,) = kafka["listeners"]
    assert listener["tls"] is True
    assert listener["authentication"] == {"type": "scram-sha-512"}
    assert kafka["authorization"] == {"type": "simple"}
    assert kafka["config"]["auto.create.topics.enable"] is False
    for pool in manifests.of("KafkaNodePool").values():
        assert pool["metadata"]["labels"]["strimzi.io/cluster"] == "logsluice-kafka"


def test_prod_loses_nothing_when_a_zone_is_gone() -> None:
    prod = overlay("prod")
    pools = prod.of("KafkaNodePool")
    assert {(name, pool["spec"]["replicas"], *pool["spec"]["roles"]) for name, pool in pools.items()} == {
        ("controller", 3, "controller"),
        ("broker", 3, "broker"),
    }
    kafka = prod.of("Kafka")["logsluice-kafka"]["spec"]["kafka"]
    assert kafka["rack"] == {"topologyKey": "topology.kubernetes.io/zone"}
    assert kafka["config"]["min.insync.replicas"] == 2
    for pool in pools.values():
        (spread,) = pool["spec"]["template"]["pod"]["topologySpreadConstraints"]
        assert spread["topologyKey"] == "topology.kubernetes.io/zone"
        assert spread["whenUnsatisfiable"] == "DoNotSchedule"
        for volume in pool["spec"]["storage"]["volumes"]:
            assert volume["class"] == "gp3"
            assert volume["deleteClaim"] is False
    assert {key: value for key, value in kafka["config"].items() if key.endswith("replication.factor")} == {
        "default.replication.factor": 3,
        "offsets.topic.replication.factor": 3,
        "transaction.state.log.replication.factor": 3,
    }


def test_deployments_can_be_drained(manifests: Overlay) -> None:
    budgets = manifests.of("PodDisruptionBudget")
    for name, deployment in manifests.of("Deployment").items():
        if name not in ("dashboard", "elasticsearch-exporter", "setup", "spark-secrets"):
            assert budgets[name]["spec"]["maxUnavailable"] == 1, name
            assert budgets[name]["spec"]["selector"] == deployment["spec"]["selector"], name


SHARED_WORK = {
    "api": "each answers its own callers, and counts those",
    "dashboard": "it shows, and counts nothing",
    "schema-registry": "its claim lets one at a time write",
    "spark-secrets": "two would copy the same",
}


def test_there_is_one_of_whatever_reads_all_at_every_moment(manifests: Overlay) -> None:
    """`TopicReader` takes every partition, an exporter tells of a whole cluster: two count all twice."""
    for name, deployment in manifests.of("Deployment").items():
        if name not in SHARED_WORK:
            assert deployment["spec"]["replicas"] == 1, name
            assert deployment["spec"]["strategy"] == {"type": "Recreate"}, name
    scaled = {item["spec"]["scaleTargetRef"]["name"] for item in manifests.of("HorizontalPodAutoscaler").values()}
    assert scaled <= SHARED_WORK.keys()


def test_the_api_grows_with_what_it_is_asked_and_prod_opens_it_by_tls(manifests: Overlay) -> None:
    (scaler,) = manifests.of("HorizontalPodAutoscaler").values()
    assert scaler["spec"]["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}
    assert "replicas" not in manifests.of("Deployment")["api"]["spec"], "the autoscaler's number would be overwritten"
    if manifests.name != "prod":
        assert not manifests.of("Ingress")
        return
    assert scaler["spec"]["minReplicas"] >= 2
    (ingress,) = manifests.of("Ingress").values()
    (rule,), (tls,) = ingress["spec"]["rules"], ingress["spec"]["tls"]
    assert tls["hosts"] == [rule["host"]]
    (path,) = rule["http"]["paths"]
    (port,) = manifests.of("Service")["api"]["spec"]["ports"]
    assert path["backend"]["service"] == {"name": "api", "port": {"name": port["name"]}}
    grafana = yaml.safe_load((ROOT / "helm/kube-prometheus-stack/values-prod.yaml").read_text())["grafana"]["ingress"]
    name = "cert-manager.io/common-name"
    assert ingress["metadata"]["annotations"] == grafana["annotations"] | {name: rule["host"]}
    assert [grafana["annotations"][name]] == grafana["hosts"]


def test_spark_runs_on_its_nodes_is_started_again_and_keeps_its_place(manifests: Overlay) -> None:
    applications = manifests.spark()
    always = {"regex-job", "regex-batch", "windows-job"}
    assert set(applications) == always | ({"producer-job"} if manifests.name != "prod" else set())
    for name, spec in applications.items():
        assert spec["sparkVersion"] == "4.2.0"
        assert (ROOT / spec["mainApplicationFile"].removeprefix("local:///opt/logsluice/")).is_file(), name
        assert spec["restartPolicy"]["type"] == ("OnFailure" if name == "regex-batch" else "Always")
        assert spec["restartPolicy"]["onFailureRetryInterval"] >= 10
        for role in ("driver", "executor"):
            pod = spec[role]["template"]["spec"]
            assert [entry["value"] for entry in pod["tolerations"]] == ["spark"], name
            selector = pod.get("nodeSelector")
            assert selector == ({"logsluice.io/node-group": "spark"} if manifests.on_aws else None), name
        if name != "producer-job":
            assert spec["dynamicAllocation"]["enabled"] is True
            assert spec["sparkConf"]["spark.driver.port"] == "7078"
            assert spec["sparkConf"]["spark.blockManager.port"] == "7079"
    (surroundings,) = (
        item["data"]
        for name, item in manifests.of("ConfigMap", SPARK).items()
        if name.startswith("logsluice-environment-")
    )
    location = surroundings["LOGSLUICE_STREAM__CHECKPOINT_LOCATION"]
    assert location.startswith("s3a://logsluice-bucket/") is manifests.on_aws
    output = surroundings["LOGSLUICE_WINDOWS__OUTPUT"]
    assert (output == "s3a://logsluice-bucket/windows") is manifests.on_aws
    # State and files of the windows job are written by its executors.
    windows = applications["windows-job"]
    for role in ("driver", "executor"):
        assert ("logsluice.io/s3-client" in windows[role]["template"]["metadata"]["labels"]) is manifests.on_aws
        mounts = {mount["mountPath"] for mount in windows[role]["template"]["spec"]["containers"][0]["volumeMounts"]}
        assert "/var/lib/logsluice-checkpoints" in mounts or manifests.on_aws


AWS = re.compile(r"s3a?://|s3a\.|s3-client|logsluice-bucket|node-group|eventLog|amazon|\bgp3\b|169\.254\.170\.23")


def test_dev_asks_nothing_of_a_cluster_that_only_aws_has() -> None:
    """What `kubectl apply -k` puts on kind and minikube: pods that can be scheduled, volumes that can be made."""
    found = {
        f"{identity(item)}: {text}"
        for item in overlay("dev").objects
        # Tells of all; a dashboard's texts are no part of what runs.
        if not identity(item).startswith("ConfigMap/grafana-")
        for text in AWS.findall(json.dumps(item))
    }
    assert not found
    assert AWS.search(json.dumps(overlay("dev-aws").objects)), "so it would be found"
    for pods in overlay("dev").templates():
        assert "affinity" not in pods.template["spec"], pods.owner
        for container in pods.containers if not pods.spark else []:
            assert "/" not in container["image"] or container["name"] in OTHERS_IMAGES, pods.owner
    for item in overlay("dev").of("PersistentVolumeClaim").values():
        assert "storageClassName" not in item["spec"], "the cluster's default class"


def test_a_job_runs_with_arguments_that_it_knows(manifests: Overlay) -> None:
    for name, spec in manifests.spark().items():
        options = {word for word in spec.get("arguments", []) if word.startswith("--")}
        job = ROOT / spec["mainApplicationFile"].removeprefix("local:///opt/logsluice/")
        source = job.read_text()
        for option in options:
            assert re.search(rf"^    {option[2:].replace('-', '_')}: ", source, re.MULTILINE), f"{name}: {option}"


def test_the_image_is_that_of_this_version(manifests: Overlay) -> None:
    text = json.dumps(manifests.objects)
    images = set(re.findall(r'"image": "([^"]+)"', text))
    assert images == {f"logsluice:{__version__}", *OTHERS_IMAGES.values()}
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert {name: compose[name]["image"] for name in OTHERS_IMAGES} == OTHERS_IMAGES


def _ports(rules: list[Object]) -> set[int]:
    return {port["port"] for rule in rules for port in rule.get("ports", [])}


def test_nothing_talks_to_anything_but_by_a_named_edge(manifests: Overlay) -> None:
    for namespace in (NAMESPACE, SPARK):
        deny = manifests.of("NetworkPolicy", namespace)["default-deny"]["spec"]
        assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    everywhere = endpoints(manifests)
    policies = [item for item in manifests.objects if item["kind"] == "NetworkPolicy"]
    for policy in policies:
        name, spec, namespace = policy["metadata"]["name"], policy["spec"], policy["metadata"]["namespace"]
        pods = [pod.labels for pod in everywhere if pod.namespace == namespace]
        assert any(selects(spec["podSelector"], labels) for labels in pods), f"{name} is about no pod"
        if name == "default-deny":
            continue
        for rule in [*spec.get("ingress", []), *spec.get("egress", [])]:
            peers = rule.get("from") or rule.get("to")
            assert peers, f"{name}: an edge to anybody"
            assert rule["ports"], f"{name}: an edge to any port"
            for peer in peers:
                if block := peer.get("ipBlock"):
                    assert block["cidr"] != "0.0.0.0/0" or "10.0.0.0/8" in block["except"], name
                elif "namespaceSelector" not in peer:
                    wanted = peer["podSelector"]
                    assert any(selects(wanted, labels) for labels in pods), f"{name}: a peer that is not there"


def test_every_workload_may_go_where_its_settings_lead(manifests: Overlay) -> None:
    for pods in manifests.templates():
        policies = manifests.of("NetworkPolicy", pods.namespace).values()
        edges = [item["spec"] for item in policies if selects(item["spec"]["podSelector"], pods.labels)]
        out = set().union(*(_ports(spec.get("egress", [])) for spec in edges))
        variables = [_environment(manifests, pods), *(container.get("env") for container in pods.containers)]
        text = json.dumps(variables) + str(pods.template["spec"]["volumes"])
        wanted = {53}
        wanted |= {9093} if "kafka-ca" in text else set()
        wanted |= {9200} if "elasticsearch-ca" in text else set()
        wanted |= {5601} if "kibana-ca" in text else set()
        wanted |= {8000} if "http://app-service:8000" in text else set()
        wanted |= {8088} if "http://schema-registry:8088" in text else set()
        wanted |= {6379} if "LOGSLUICE_REDIS__URL" in text else set()
        wanted |= {6380} if "LOGSLUICE_REDIS__CACHE_URL" in text else set()
        calls_api = pods.owner.endswith(" driver") or pods.owner == "Deployment/spark-secrets"
        wanted |= {443, 6443} if calls_api else set()
        wanted |= {80, 443} if pods.labels.get("logsluice.io/s3-client") else set()
        wanted |= {443} if "WEBHOOK_URL" in text else set()
        wanted |= {7078, 7079} if pods.spark else set()
        assert out == wanted, pods.owner


def test_everything_that_serves_metrics_is_read_and_may_be(manifests: Overlay) -> None:
    read: set[tuple[str, int]] = set()
    for monitor in [*manifests.of("PodMonitor").values(), *manifests.of("ServiceMonitor").values()]:
        spec = monitor["spec"]
        endpoints = spec.get("podMetricsEndpoints") or spec["endpoints"]
        for endpoint in endpoints:
            environment = {"targetLabel": "environment", "replacement": manifests.environment}
            assert environment in endpoint["relabelings"], monitor["metadata"]["name"]
        if monitor["kind"] == "PodMonitor":
            assert spec["jobLabel"] == "app.kubernetes.io/name"
        for pods in manifests.templates():
            where = spec.get("namespaceSelector", {}).get("matchNames", [monitor["metadata"]["namespace"]])
            if pods.namespace not in where or not selects(spec["selector"], pods.labels):
                continue
            ports = {port["name"]: port["containerPort"] for port in pods.containers[0].get("ports", [])}
            ports |= SPARK_PORTS if pods.spark else {}
            for endpoint in endpoints:
                read.add((pods.owner, ports[endpoint["port"]]))
    for owner, port in read:
        (pods,) = (template for template in manifests.templates() if template.owner == owner)
        rules = [
            rule
            for policy in manifests.of("NetworkPolicy", pods.namespace).values()
            if selects(policy["spec"]["podSelector"], pods.labels)
            for rule in policy["spec"].get("ingress", [])
        ]
        allowed = _ports([rule for rule in rules if PROMETHEUS in [_namespace(peer) for peer in rule["from"]]])
        assert port in allowed, f"Prometheus may not reach {owner}:{port}"
    serving = {pods.owner for pods in manifests.templates() if pods.containers[0].get("ports")}
    assert serving - WITHOUT_METRICS == {owner for owner, _ in read}
    ours = [item for item in manifests.of("PodMonitor").values() if item["metadata"]["name"] == "spark-jobs"]
    ours += [manifests.of("ServiceMonitor")[name] for name in ("alerts-job", "api", "app-service")]
    for monitor in ours:
        for endpoint in monitor["spec"].get("podMetricsEndpoints") or monitor["spec"]["endpoints"]:
            assert endpoint["honorLabels"] is True, "our metrics carry labels named job and service"


def _namespace(peer: Object) -> Object:
    labels: Object = peer.get("namespaceSelector", {}).get("matchLabels", {})
    return labels


def test_services_lead_to_pods(manifests: Overlay) -> None:
    for name, service in manifests.of("Service").items():
        found = [
            pods for pods in manifests.templates() if selects({"matchLabels": service["spec"]["selector"]}, pods.labels)
        ]
        assert [pods.owner for pods in found] == [f"Deployment/{name}"]
        for port in service["spec"]["ports"]:
            named = {entry["name"] for container in found[0].containers for entry in container.get("ports", [])}
            assert port["targetPort"] in named
    for name, monitor in manifests.of("ServiceMonitor").items():
        assert selects(monitor["spec"]["selector"], manifests.of("Service")[name]["metadata"]["labels"])


def _differences(one: Any, other: Any, path: str = "") -> set[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        return {
            found
            for key in one.keys() | other.keys()
            for found in _differences(one.get(key), other.get(key), f"{path}.{key}")
        }
    return set() if one == other else {path.removeprefix(".")}


def _comparable(name: str) -> dict[str, Object]:
    """Objects by identity; the hash in a ConfigMap's name follows from its contents, which may differ."""
    text = re.sub(r"(logsluice-(?:config|environment))-[a-z0-9]+", r"\1", json.dumps(overlay(name).objects))
    return {identity(item): item for item in json.loads(text)}


def test_dev_and_prod_differ_in_what_is_listed_and_nothing_else() -> None:
    dev, prod = _comparable("dev-aws"), _comparable("prod")
    assert dev.keys() - prod.keys() == {"KafkaNodePool/dual-role", "SparkApplication/logsluice-spark/producer-job"}
    assert prod.keys() - dev.keys() == {"KafkaNodePool/controller", "KafkaNodePool/broker", "Ingress/api"}
    found = {key: _differences(dev[key], prod[key]) for key in dev.keys() & prod.keys()}
    pod = "spec.template.spec"
    assert {key: paths for key, paths in found.items() if paths} == {
        "ConfigMap/logsluice-config": found["ConfigMap/logsluice-config"],
        "ConfigMap/logsluice-spark/logsluice-config": found["ConfigMap/logsluice-config"],
        "ConfigMap/logsluice-logstash-pipeline": {"data.logstash.conf"},
        **{
            f"ConfigMap/{where}logsluice-environment": {"data.LOGSLUICE_ENV", "data.LOGSLUICE_ELASTICSEARCH__HOSTS"}
            for where in ("", "logsluice-spark/")
        },
        # The label `environment` of every series.
        **{f"PodMonitor/{name}": {"spec.podMetricsEndpoints"} for name in overlay("prod").of("PodMonitor")},
        **{f"ServiceMonitor/{name}": {"spec.endpoints"} for name in overlay("prod").of("ServiceMonitor")},
        "ResourceQuota/namespace": {
            f"spec.hard.{what}" for what in ("pods", "requests.cpu", "requests.memory", "persistentvolumeclaims")
        },
        "ResourceQuota/logsluice-spark/namespace": {
            f"spec.hard.{what}" for what in ("pods", "requests.cpu", "requests.memory")
        },
        # The authority of ECK's certificates, which Spark has under one name everywhere.
        "Deployment/spark-secrets": {f"{pod}.containers"},
        "Role/spark-secrets": {"rules"},
        "Kafka/logsluice-kafka": {
            "spec.kafka.rack",
            *(
                f"spec.kafka.config.{key}"
                for key in (
                    "default.replication.factor",
                    "min.insync.replicas",
                    "offsets.topic.replication.factor",
                    "transaction.state.log.replication.factor",
                    "transaction.state.log.min.isr",
                )
            ),
        },
        "KafkaTopic/logs-topic": {
            "spec.topicName",
            "spec.partitions",
            "spec.replicas",
            "spec.config.min.insync.replicas",
            "spec.config.retention.ms",
        },
        "KafkaTopic/logs-topic-dlq": {
            "spec.topicName",
            "spec.replicas",
            "spec.config.min.insync.replicas",
            "spec.config.retention.ms",
        },
        "KafkaTopic/alerts-topic": {
            "spec.topicName",
            "spec.replicas",
            "spec.config.min.insync.replicas",
            "spec.config.retention.ms",
        },
        **{f"KafkaUser/{name}": {"spec.authorization.acls"} for name in overlay("prod").of("KafkaUser")},
        "Deployment/app-service": {f"{pod}.volumes"},
        "Deployment/alerts-job": {f"{pod}.volumes"},
        "Deployment/api": {f"{pod}.volumes"},
        "HorizontalPodAutoscaler/api": {"spec.minReplicas", "spec.maxReplicas"},
        "Deployment/dashboard": {f"{pod}.volumes"},
        "Deployment/elasticsearch-exporter": {f"{pod}.volumes"},
        "Deployment/setup": {f"{pod}.initContainers", f"{pod}.volumes"},
        "SparkApplication/logsluice-spark/regex-job": {
            "spec.arguments",
            "spec.dynamicAllocation.initialExecutors",
            "spec.dynamicAllocation.minExecutors",
            "spec.dynamicAllocation.maxExecutors",
            "spec.driver.coreRequest",
            "spec.driver.memory",
            "spec.driver.memoryOverhead",
            "spec.executor.instances",
            "spec.executor.coreRequest",
            "spec.executor.memory",
            "spec.executor.memoryOverhead",
        },
        "SparkApplication/logsluice-spark/windows-job": {
            "spec.dynamicAllocation.initialExecutors",
            "spec.dynamicAllocation.minExecutors",
            "spec.dynamicAllocation.maxExecutors",
            "spec.driver.coreRequest",
            "spec.driver.memory",
            "spec.driver.memoryOverhead",
            "spec.executor.instances",
            "spec.executor.coreRequest",
            "spec.executor.memory",
            "spec.executor.memoryOverhead",
        },
        "ScheduledSparkApplication/logsluice-spark/regex-batch": {
            "spec.template.dynamicAllocation.maxExecutors",
            "spec.template.executor.coreRequest",
            "spec.template.executor.memory",
            "spec.template.executor.memoryOverhead",
        },
    }
    assert found["ConfigMap/logsluice-config"] <= {
        "data.settings.yaml",
        "data.patterns.yaml",
        "data.alerts.yaml",
    }
    # Of lists, the environment's name is all that differs.
    for key in (
        "Deployment/alerts-job",
        "Deployment/api",
        "Deployment/app-service",
        "Deployment/dashboard",
        "Deployment/setup",
        "SparkApplication/logsluice-spark/regex-job",
        "SparkApplication/logsluice-spark/windows-job",
    ):
        templates = [
            json.dumps(template, sort_keys=True).replace("prod-elasticsearch-cluster", "dev-elasticsearch-cluster")
            for template in (_templates(dev[key]), _templates(prod[key]))
        ]
        assert templates[0] == templates[1], key


def _templates(item: Object) -> list[Object]:
    spec = item["spec"]
    return [spec[role]["template"] for role in ("driver", "executor")] if "driver" in spec else [spec["template"]]


def test_every_custom_resource_is_what_its_operator_knows(manifests: Overlay, tmp_path: Path) -> None:
    """kubeconform against the operators' own definitions, in which nothing unknown is allowed."""
    kubeconform = tool("kubeconform")
    custom = [item for item in manifests.objects if item["apiVersion"].partition("/")[0] in OPERATORS]
    kinds = frozenset(item["kind"] for item in custom)
    assert kinds >= {"Kafka", "KafkaTopic", "SparkApplication", "PrometheusRule"}
    for definition in definitions(kinds):
        kind = definition["spec"]["names"]["kind"]
        for version in definition["spec"]["versions"]:
            schema = _root(version["schema"]["openAPIV3Schema"])
            (tmp_path / f"{kind}_{version['name']}.json".lower()).write_text(json.dumps(schema))
    input_file = tmp_path / "objects.yaml"
    input_file.write_text(yaml.safe_dump_all(custom))
    location = f"{tmp_path}/{{{{ .ResourceKind }}}}_{{{{ .ResourceAPIVersion }}}}.json"
    done = subprocess.run(
        [kubeconform, "-strict", "-summary", "-schema-location", location, str(input_file)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(custom)} resources found" in done.stdout
    assert "Valid: " + str(len(custom)) in done.stdout


def _strict(schema: Any) -> Any:
    """A definition's schema as JSON schema in which nothing unknown is allowed."""
    if isinstance(schema, list):
        return [_strict(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    # What a branch of these says of a field is beside the field's own place, which alone says what is known.
    branches = {key: schema[key] for key in ("oneOf", "anyOf", "allOf", "not") if key in schema}
    left = ("format", "default", "properties", *branches)
    result = branches | {key: _strict(entry) for key, entry in schema.items() if key not in left}
    if "properties" in schema:
        result["properties"] = {name: _strict(entry) for name, entry in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            result.setdefault("additionalProperties", False)
    return {key: entry for key, entry in result.items() if not str(key).startswith("x-kubernetes")}


def _root(schema: Any) -> Any:
    """The schema of a whole object, whose metadata is Kubernetes' own matter."""
    strict = _strict(schema)
    return strict | {"properties": strict.get("properties", {}) | {"metadata": {"type": "object"}}}


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_nobody_but_the_ingress_controllers_network_speaks_for_others(environment: str) -> None:
    settings = yaml.safe_load((ROOT / "config" / environment / "settings.yaml").read_text())
    trusted = settings.get("api", {}).get("trusted_proxies", [])
    stack = yaml.safe_load((ROOT / "infra" / f"Pulumi.{environment}.yaml").read_text())["config"]
    has_ingress = "api" in overlay(environment).of("Ingress")
    # Pods have addresses of the VPC.
    assert trusted == ([stack["logsluice:network"]["cidr"]] if has_ingress else [])
    assert "TRUSTED_PROXIES" not in json.dumps(overlay(environment).objects)
