"""What Grafana and Prometheus ask: every expression of dashboards, variables and rules, taken apart."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from prometheus_client import REGISTRY

import logsluice.runtime.metrics  # noqa: F401 - fills the registry
from tests.local.running import ROOT

MONITORING = ROOT / "k8s" / "components" / "monitoring"
DASHBOARDS = MONITORING / "dashboards"
PROVISIONING = ROOT / "config" / "grafana" / "provisioning"

TARGET_LABELS = frozenset({"environment", "instance", "job"})
"""What Prometheus puts on every series of ours."""

_WORDS = frozenset(
    ["and", "or", "unless", "on", "by", "without", "ignoring", "group_left", "group_right", "bool", "offset"]
)
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"(?<![\w.])([a-zA-Z_:][\w:]*)(?:\{([^}]*)\})?(?!\w*\s*\()")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"[^\"]*\"")


class Selector(NamedTuple):
    """A metric in an expression, and the matchers on it as they stand there."""

    metric: str
    matchers: str

    @property
    def labels(self) -> set[str]:
        """The labels it is chosen by."""
        return set(_MATCHER.findall(self.matchers))

    def __str__(self) -> str:
        return f"{self.metric}{{{self.matchers}}}"


@dataclass(frozen=True)
class Expression:
    """An expression.

    Attributes:
        where: The file and the panel, variable or rule.
        expression: As it stands there.
        legend: How a panel calls its lines.
        kind: ``panel``, ``variable``, ``record`` or ``alert``.
        name: Of the recorded metric or the alert.
        label: Of a variable, the label whose values it lists.
    """

    where: str
    expression: str
    kind: str
    legend: str = ""
    name: str = ""
    label: str = ""

    @property
    def selectors(self) -> list[Selector]:
        """Its metrics."""
        return selectors(self.expression)

    @property
    def grouped_by(self) -> set[str]:
        """The labels that it groups or joins by."""
        return {label.strip() for found in _GROUPING.findall(self.expression) for label in found.split(",") if label}

    def filled(self) -> str:
        """As Grafana sends it: everything chosen, scraped every 15 s."""
        return fill(self.expression)


def selectors(expression: str) -> list[Selector]:
    """The metrics of an expression."""
    bare = _GROUPING.sub(" ", re.sub(r"\[[^\]]*\]|\boffset\s+\w+", " ", expression))
    found = []
    for match in _SELECTOR.finditer(_outside_strings(bare)):
        if match[1] not in _WORDS:
            found.append(Selector(match[1], bare[match.start(2) : match.end(2)] if match[2] else ""))
    return found


def fill(expression: str) -> str:
    """Put values in the place of Grafana's variables."""
    values = {"__rate_interval": "1m", "__interval": "15s", "__range": "1h", "environment": ".*", "service": ".*"}
    filled = re.sub(r"\$\{?(\w+)(?::\w+)?\}?", lambda match: values[match[1]], expression)
    assert "$" not in filled, filled
    return filled


def dashboards() -> dict[str, dict[str, Any]]:
    """Every dashboard by the name of its file."""
    return {path.name: json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))}


def panels(dashboard: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A dashboard's panels, those in rows too."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def rule_groups() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every group of Prometheus' rules with its file."""
    for path in sorted((MONITORING / "rules").glob("*.yaml")):
        for group in yaml.safe_load(path.read_text())["spec"]["groups"]:
            yield path.name, group


def grafana_rules() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every rule of Grafana's own with its file."""
    for path in sorted((PROVISIONING / "alerting").glob("*.yaml")):
        for group in yaml.safe_load(path.read_text()).get("groups", []):
            for rule in group["rules"]:
                yield path.name, rule


def everything() -> list[Expression]:
    """Every expression there is."""
    found = []
    for name, dashboard in dashboards().items():
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
                assert match, variable
                where = f"{name}, variable {variable['name']}"
                found.append(Expression(where, match[1], "variable", label=match[2]))
        for panel in panels(dashboard):
            for target in panel["targets"]:
                legend = target.get("legendFormat", "")
                found.append(Expression(f"{name}, {panel['title']}", target["expr"], "panel", legend))
    for name, group in rule_groups():
        for rule in group["rules"]:
            kind = "record" if "record" in rule else "alert"
            found.append(Expression(f"{name}, {rule[kind]}", rule["expr"], kind, name=rule[kind]))
    for name, rule in grafana_rules():
        for query in rule["data"]:
            if query["datasourceUid"] != "__expr__":
                found.append(
                    Expression(f"{name}, {rule['title']}", query["model"]["expr"], "alert", name=rule["title"])
                )
    return found


@cache
def exported() -> dict[str, frozenset[str]]:
    """The labels of every metric that anything exports, by its name.

    Ours are asked of the code that makes them; exporters.yaml names those of others.
    """
    found: dict[str, frozenset[str]] = {}
    for family in REGISTRY.collect():
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        # The client has no public way to the labels of a metric that has counted nothing yet.
        collector = REGISTRY._names_to_collectors.get(family.name)  # noqa: SLF001
        labels = frozenset(getattr(collector, "_labelnames", ()))
        for ending in endings:
            found[family.name + ending] = labels | ({"le"} if ending == "_bucket" else set())
    others = yaml.safe_load(Path(__file__).with_name("exporters.yaml").read_text())
    for source in others.values():
        for name, labels in source["metrics"].items():
            found.setdefault(name, frozenset(labels))
    for _, group in rule_groups():
        for rule in group["rules"]:
            if "record" in rule:
                # The first grouping is the outermost.
                outermost = _GROUPING.search(rule["expr"])
                assert outermost, rule
                found[rule["record"]] = frozenset(label.strip() for label in outermost[1].split(","))
    return found


def _outside_strings(expression: str) -> str:
    """The expression with what is quoted blanked, of the same length."""
    return re.sub(r"\"[^\"]*\"", lambda match: '"' + " " * (len(match[0]) - 2) + '"', expression)
