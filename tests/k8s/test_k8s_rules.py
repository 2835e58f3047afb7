"""Prometheus' rules: what promtool says of them, and whether every metric in them exists."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from k8s_manifests import ROOT
from k8s_tools import tool
from prometheus_client import REGISTRY

import logsluice.metrics  # noqa: F401 - fills the registry

MONITORING = ROOT / "k8s" / "base" / "monitoring"
RULES = sorted(path.name for path in (MONITORING / "rules").glob("*.yaml"))
WORDS = {"and", "or", "unless", "on", "by", "without", "ignoring", "group_left", "group_right", "bool", "offset"}
ELSEWHERE = {
    "up": "Prometheus itself",
    "kubelet_volume_stats_available_bytes": "kubelet",
    "kubelet_volume_stats_capacity_bytes": "kubelet",
    "kube_pod_container_status_restarts_total": "kube-state-metrics",
    "kube_job_status_failed": "kube-state-metrics",
    "elasticsearch_cluster_health_status": "elasticsearch_exporter, collector cluster_health",
    "elasticsearch_filesystem_data_available_bytes": "elasticsearch_exporter, collector nodes",
    "elasticsearch_filesystem_data_size_bytes": "elasticsearch_exporter, collector nodes",
    "elasticsearch_breakers_tripped": "elasticsearch_exporter, collector nodes",
}


def _spec(name: str) -> dict[str, list[dict[str, object]]]:
    spec: dict[str, list[dict[str, object]]] = yaml.safe_load((MONITORING / "rules" / name).read_text())["spec"]
    return spec


def _metrics(expression: str) -> set[str]:
    """The names of the metrics in an expression."""
    bare = re.sub(r"\"[^\"]*\"|\{[^}]*\}|\[[^\]]*\]", " ", expression)
    bare = re.sub(r"\b(by|on|without|ignoring)\s*\([^)]*\)", " ", bare)
    return {name for name in re.findall(r"[a-zA-Z_:][\w:]*(?!\w*\s*\()\b", bare) if name not in WORDS}


def _exported() -> set[str]:
    names = {sample.name for family in REGISTRY.collect() for sample in family.samples}
    # A metric with labels has no sample until it is used: its names follow from its kind.
    for family in REGISTRY.collect():
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        names |= {family.name + end for end in ends}
    return names


# Seen on Kafka 4.3.1 with version 1.0.1 of the exporter.
BROKERS = {
    "kafka_server_replicamanager_underreplicatedpartitions",
    "kafka_server_replicamanager_underminisrpartitioncount",
    "kafka_controller_offlinepartitionscount",
    "kafka_controller_activecontrollercount",
}


def _is_jmx(name: str) -> bool:
    rules = yaml.safe_load((ROOT / "k8s/base/kafka/metrics.yaml").read_text())["rules"]
    return any(re.fullmatch(re.sub(r"\\?\$\d", r"\\w+", re.escape(rule["name"]), count=0), name) for rule in rules)


def _known(name: str, recorded: set[str]) -> bool:
    return name in _exported() or name in recorded or name in ELSEWHERE or (name in BROKERS and _is_jmx(name))


def test_every_rule_file_is_deployed() -> None:
    listed = yaml.safe_load((MONITORING / "kustomization.yaml").read_text())["resources"]
    assert [f"rules/{name}" for name in RULES] == [name for name in listed if name.startswith("rules/")]


@pytest.mark.parametrize("name", RULES)
def test_every_metric_in_a_rule_exists(name: str) -> None:
    rules = [rule for group in _spec(name)["groups"] for rule in group["rules"]]  # type: ignore[attr-defined]
    recorded = {rule["record"] for rule in rules if "record" in rule}
    used = {metric for rule in rules for metric in _metrics(rule["expr"])}
    assert used
    assert {metric for metric in used if not _known(metric, recorded)} == set()
    for rule in rules:
        if "alert" in rule:
            assert rule["labels"]["severity"] in ("warning", "critical"), rule["alert"]
            assert rule["annotations"]["summary"], rule["alert"]


def test_what_is_not_a_metric_is_told_from_one() -> None:
    assert _metrics(
        'sum by (job, le) (rate(a_total{x=~"y.*"}[5m])) / on (z) b:c > 0 and on () max(d) unless absent(e)'
    ) == {
        "a_total",
        "b:c",
        "d",
        "e",
    }
    assert not _known("logsluice_no_such_total", set())
    assert not _known("kafka_server_unheard_of", set())


def test_every_metric_in_a_dashboard_exists() -> None:
    for path in (MONITORING / "dashboards").glob("*.json"):
        dashboard = json.loads(path.read_text())
        expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
        assert expressions
        for expression in expressions:
            unknown = {metric for metric in _metrics(expression) if not _known(metric, set())}
            assert not unknown, f"{path.name}: {expression}"


@pytest.mark.parametrize("name", RULES)
def test_promtool_takes_the_rules_and_they_speak_up_when_they_should(name: str, tmp_path: Path) -> None:
    promtool = tool("promtool")
    (tmp_path / name).write_text(yaml.safe_dump(_spec(name)))
    cases = yaml.safe_load((Path(__file__).parent / "rules" / name).read_text())
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump({"rule_files": [name], "evaluation_interval": "1m"} | cases))
    for command in (["check", "rules", name], ["test", "rules", "cases.yaml"]):
        done = subprocess.run([promtool, *command], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", RULES)
def test_every_alert_is_seen_to_fire_in_a_case(name: str) -> None:
    alerts = {rule["alert"] for group in _spec(name)["groups"] for rule in group["rules"] if "alert" in rule}  # type: ignore[attr-defined]
    cases = yaml.safe_load((Path(__file__).parent / "rules" / name).read_text())["tests"]
    fired = {test["alertname"] for case in cases for test in case["alert_rule_test"] if test["exp_alerts"]}
    assert fired == alerts
