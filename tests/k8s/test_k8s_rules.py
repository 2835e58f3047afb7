"""Prometheus' rules: what promtool says of them. tests/local/test_views.py holds their names to what exports them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.k8s.k8s_manifests import ROOT, overlay
from tests.shared.shared_folder import tool

MONITORING = ROOT / "k8s" / "components" / "monitoring"
RULES = sorted(path.name for path in (MONITORING / "rules").glob("*.yaml"))


def _spec(name: str) -> dict[str, list[dict[str, object]]]:
    spec: dict[str, list[dict[str, object]]] = yaml.safe_load((MONITORING / "rules" / name).read_text())["spec"]
    return spec


def test_every_rule_file_is_deployed() -> None:
    listed = yaml.safe_load((MONITORING / "kustomization.yaml").read_text())["resources"]
    assert [f"rules/{name}" for name in RULES] == [name for name in listed if name.startswith("rules/")]


def test_every_dashboard_is_deployed_where_grafana_looks() -> None:
    made = {
        name: item
        for name, item in overlay("prod").of("ConfigMap", "logsluice").items()
        if item["metadata"]["labels"].get("grafana_dashboard") == "1"
    }
    files = sorted((MONITORING / "dashboards").iterdir())
    assert {name: item["data"] for name, item in made.items()} == {
        f"dashboard-{path.stem}": {path.name: path.read_text()} for path in files
    }


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
