"""Every object that a stack sends to its cluster, as the provider would send it: its own, the definitions of charts,
and those of its kustomize folder behind the program's transform; and what Helm makes of the charts of its releases.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import pulumi
import yaml

from logsluice_infra.definitions import definitions
from logsluice_infra.facts import Facts
from logsluice_infra.workloads import transform
from tests.infra.graph import INFRA, Graph
from tests.k8s.helm_charts import in_namespace, template

Object = Mapping[str, Any]
Identity = tuple[str, str, str, str]
NOT_OBJECTS = ("kubernetes:helm.sh/", "kubernetes:kustomize/", "kubernetes:yaml/")
"""Types of the provider's own that are no objects of a cluster."""


def identity(item: Object) -> Identity:
    """By what a cluster knows an object: group, kind, namespace, name."""
    group = item["apiVersion"].rpartition("/")[0]
    return group, item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]


def twice(items: Iterable[Object]) -> list[Identity]:
    """What would be made two times; the second is refused ("already exists")."""
    return sorted(found for found, times in Counter(map(identity, items)).items() if times > 1)


def sent(graph: Graph) -> Iterator[Object]:
    """The objects of a stack."""
    for node in graph.nodes:
        if node.type.startswith("kubernetes:") and not node.type.startswith(NOT_OBJECTS):
            yield node.inputs
        elif node.type == "kubernetes:kustomize/v2:Directory":
            change = transform(facts(graph), protect=False)
            for item in folder(node.inputs["directory"]):
                yield _changed(change, item)
        elif node.type == "kubernetes:yaml/v2:ConfigGroup":
            yield from node.inputs["objs"]


def of_charts(graph: Graph) -> Iterator[Object]:
    """What the charts' sources make of a stack's releases: the definitions that the stack owns, and what Helm sends."""
    for options in graph.templates:
        yield from definitions({"result": template(options["release_name"], options["values"], "--include-crds")})
    for node in graph.of("helm.sh/v3:Release"):
        inputs = node.inputs
        crds = () if inputs["skipCrds"] else ("--include-crds",)
        for item in template(inputs["name"], inputs["values"], "--skip-tests", *crds):
            yield in_namespace(item, inputs["namespace"])


def facts(graph: Graph) -> Facts:
    """What the program filled in."""
    return Facts(image=graph.outputs["image"], bucket=graph.outputs.get("bucket"))


@cache
def folder(directory: str) -> tuple[Object, ...]:
    """What kustomize makes of a folder, given as the program gives it: relative to where the provider runs."""
    command = ["kubectl", "kustomize", str(INFRA / directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def _changed(change: Any, item: Object) -> Object:
    version = item["apiVersion"] if "/" in item["apiVersion"] else f"core/{item['apiVersion']}"
    result = change(
        pulumi.ResourceTransformArgs(
            custom=True,
            type_=f"kubernetes:{version}:{item['kind']}",
            name=item["metadata"]["name"],
            props=item,
            opts=pulumi.ResourceOptions(),
        )
    )
    return item if result is None else result.props
