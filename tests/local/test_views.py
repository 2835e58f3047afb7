"""Dashboards, variables, rules and links: every name in them is one that something makes, and files agree."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.__main__ import files
from grafana.rules import NOT_IN_COMPOSE
from logsluice.elasticsearch.templates import ServerFeatures, index_plans
from logsluice.extract import load_registry
from logsluice.settings import Settings
from tests.local.running import ROOT
from tests.local.views import (
    MONITORING,
    PROVISIONING,
    TARGET_LABELS,
    Expression,
    dashboards,
    everything,
    exported,
    fill,
    grafana_rules,
    panels,
    rule_groups,
    selectors,
)

KIBANA_OBJECTS = {
    "logsluice-overview": "",
    "logsluice-errors-by-service": "results",
    "logsluice-slow-requests": "results",
    "logsluice-user-journey": "results",
    "logsluice-dead-letters-search": "dead-letters",
    "logsluice-logs": "logs",
    "logsluice-results": "results",
    "logsluice-metrics": "metrics",
    "logsluice-windows": "windows",
    "logsluice-alerts": "alerts",
    "logsluice-dead-letters": "dead-letters",
}
"""Saved objects of Kibana, and the index that they search."""

EVERYTHING = everything()


def test_what_is_committed_is_what_the_code_makes() -> None:
    made = files()
    for name, text in made.items():
        assert (ROOT / name).read_text() == text, f"{name}: run `make views`"
    committed = {*MONITORING.glob("dashboards/*"), *ROOT.glob("config/prometheus/rules/*")}
    assert committed == {ROOT / name for name in made}


@pytest.mark.parametrize("entry", EVERYTHING, ids=lambda entry: entry.where)
def test_every_name_exists_where_it_is_made(entry: Expression) -> None:
    assert entry.selectors
    known: set[str] = set(TARGET_LABELS)
    for selector in entry.selectors:
        assert selector.metric in exported(), f"nothing exports {selector.metric}"
        labels = exported()[selector.metric] | TARGET_LABELS
        assert selector.labels <= labels, f"{selector}: {selector.labels - labels}"
        known |= labels
    # What label_join makes.
    known |= {"alert"} & set(re.findall(r"\w+", entry.expression))
    assert entry.grouped_by <= known, entry.grouped_by - known
    if entry.kind == "variable":
        assert entry.label in known
    if entry.kind == "panel" and "$environment" not in entry.expression:
        pytest.fail(f"{entry.where} shows every environment at once")
    for label in re.findall(r"{{(\w+)}}", entry.legend):
        assert label in entry.grouped_by, f"{entry.where}: {label} is not in the answer"


def test_an_expression_is_taken_apart_rightly() -> None:
    found = selectors(
        'sum by (job, le) (rate(a_total{x=~"y.*{}", env="b"}[5m])) / on (z) b:c > 0'
        ' and on () max(d) unless absent(e{f="g"} offset 5m) or label_join(h, "i", "", "j")'
    )
    assert [str(selector) for selector in found] == ['a_total{x=~"y.*{}", env="b"}', "b:c{}", "d{}", 'e{f="g"}', "h{}"]
    assert found[0].labels == {"x", "env"}
    assert fill('a{b=~"$environment"}[$__rate_interval]') == 'a{b=~".*"}[1m]'
    with pytest.raises(KeyError):
        fill("$unheard_of")
    assert "logsluice_no_such_total" not in exported()
    assert exported()["http_requests_total"] == {"service", "method", "status"}


@pytest.mark.parametrize("name", dashboards())
def test_a_dashboard_is_as_grafana_wants_it(name: str) -> None:
    dashboard = dashboards()[name]
    # Reads it with the types of Grafana's own schema, and finds nothing that they do not know.
    read = json.loads(json.dumps(Dashboard.from_json(dashboard), default=lambda part: part.to_json()))
    assert _without_nothing(read) == _without_nothing(dashboard)
    assert dashboard["uid"] == f"logsluice-{name.removesuffix('.json')}"
    every = [panel for row in dashboard["panels"] for panel in (row, *row.get("panels", []))]
    assert len({panel["id"] for panel in every}) == len(every)
    taken: set[tuple[int, int]] = set()
    for panel in every:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} lies on another"
        assert place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert {"datasource", "environment", "kibana"} <= variables
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard["panels"])))
    assert used - variables <= {"__rate_interval", "__field", "__from", "__to"}
    assert variables <= used | set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard["links"])))
    titles = [panel["title"] for panel in panels(dashboard)]
    for panel in panels(dashboard):
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["fieldConfig"]["defaults"].get("unit") or panel["type"] in ("table", "heatmap", "state-timeline")
    assert titles


def test_the_overview_shows_what_it_should() -> None:
    shown = {panel["title"]: panel for panel in panels(dashboards()["overview.json"])}
    assert {
        "Events read", "Events written", "Error rate by service", "Matches by pattern", "Lag", "Dead letters",
    } <= shown.keys()  # fmt: skip
    latency = shown["From Kafka to the index"]
    assert latency["type"] == "heatmap"
    assert latency["targets"][0]["format"] == "heatmap"
    names = [variable["name"] for variable in dashboards()["overview.json"]["templating"]["list"]]
    assert names == ["datasource", "environment", "service", "kibana"]


def test_every_link_leads_to_a_saved_object_and_asks_for_fields_that_its_index_has() -> None:
    plans = index_plans(Settings(), load_registry(ROOT / "config" / "dev").fields, ServerFeatures())
    fields = {plan.alias.removeprefix("dev-").removesuffix("-index"): set(plan.properties) for plan in plans}
    linked = set()
    for name, dashboard in dashboards().items():
        for panel in [dashboard, *panels(dashboard)]:
            own = panel.get("links", [])
            of_series = panel.get("fieldConfig", {}).get("defaults", {}).get("links") or []
            for link in [*own, *of_series]:
                if link["type"] != "link":
                    continue
                where = f"{name}, {panel['title']}: {link['url']}"
                url = unquote(link["url"])
                assert url.startswith("${kibana:raw}/app/"), where
                assert "from:'${__from:date:iso}',to:'${__to:date:iso}'" in url, where
                (target,) = re.findall(r"#/view/([\w-]+)\?|dataViewId:([\w-]+)", url)
                kibana_object = target[0] or target[1]
                assert kibana_object in KIBANA_OBJECTS, where
                linked.add(kibana_object)
                for field in re.findall(r"query:'([\w.]+):", url):
                    assert field in fields[KIBANA_OBJECTS[kibana_object]], where
                labels = set(re.findall(r"__field\.labels\.(\w+)", url))
                expressions = [target["expr"] for target in panel.get("targets", [])]
                assert labels <= {
                    label for text in expressions for label in Expression("", text, "panel").grouped_by
                }, where
    assert {"logsluice-overview", "logsluice-errors-by-service", "logsluice-dead-letters-search"} <= linked


def test_grafana_is_provisioned_with_what_compose_mounts() -> None:
    source = _provisioned("datasources/prometheus.yaml")["datasources"][0]
    assert (source["uid"], source["type"], source["url"]) == ("prometheus", "prometheus", "http://prometheus:9090")
    provider = _provisioned("dashboards/logsluice.yaml")["providers"][0]
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"
    contacts = _provisioned("alerting/contact-points.yaml")
    (contact,) = contacts["contactPoints"]
    assert [policy["receiver"] for policy in contacts["policies"]] == [contact["name"]]
    ((_, rule),) = grafana_rules()
    queries = {query["refId"]: query for query in rule["data"]}
    assert queries[rule["condition"]]["model"]["expression"] in queries
    assert {query["datasourceUid"] for query in queries.values()} == {"prometheus", "__expr__"}
    assert "$" not in json.dumps(rule), "Grafana puts environment variables there, each release by other rules"


def test_what_the_provisioning_takes_from_the_environment_compose_gives() -> None:
    compose = ROOT / "docker-compose.yml"
    if not compose.is_file():
        pytest.skip("there is no docker-compose.yml")
    given = yaml.safe_load(compose.read_text())["services"]["grafana"].get("environment", {})
    names = given if isinstance(given, dict) else {entry.partition("=")[0] for entry in given}
    for path in PROVISIONING.rglob("*.yaml"):
        bare = re.sub(r"(?m)^\s*#.*$", "", path.read_text())
        for wanted in re.findall(r"\$\{?(\w+)", bare):
            assert wanted in names, f"{path.name} needs {wanted}"


def test_both_forms_of_the_rules_say_the_same() -> None:
    for path in (MONITORING / "rules").glob("*.yaml"):
        if path.name not in NOT_IN_COMPOSE:
            plain = ROOT / "config" / "prometheus" / "rules" / f"{path.stem}.yml"
            assert yaml.safe_load(plain.read_text()) == yaml.safe_load(path.read_text())["spec"], path.name


def test_every_alert_tells_how_grave_it_is_and_in_which_environment() -> None:
    for name, group in rule_groups():
        for rule in group["rules"]:
            if "alert" not in rule:
                continue
            where = f"{name}, {rule['alert']}"
            entry = Expression(where, rule["expr"], "alert")
            severity = rule.get("labels", {}).get("severity")
            assert severity in ("warning", "critical") or "severity" in entry.grouped_by, where
            assert rule["annotations"]["summary"], where
            if not rule["expr"].startswith("absent") and name not in NOT_IN_COMPOSE:
                assert "environment" in entry.grouped_by or _is_recorded(entry), where


def _is_recorded(entry: Expression) -> bool:
    return all(":" in selector.metric for selector in entry.selectors)


def _provisioned(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((PROVISIONING / name).read_text())
    assert content["apiVersion"] == 1
    return content


def _without_nothing(part: Any) -> Any:
    """Without what is null, so that left out and null are the same."""
    if isinstance(part, dict):
        return {key: _without_nothing(value) for key, value in part.items() if value is not None}
    return [_without_nothing(entry) for entry in part] if isinstance(part, list) else part
