"""The Helm releases as the repository lists them, with their values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml

from tests.k8s.k8s_manifests import ROOT

HELM = ROOT / "helm"
STACKS = ("dev", "prod", "local")
RELEASES: list[dict[str, Any]] = yaml.safe_load((HELM / "releases.yaml").read_text())["releases"]
BY_STACK = [(release["name"], stack) for release in RELEASES for stack in release["stacks"]]
OF_THE_STACK: dict[str, dict[str, Any]] = {
    "cluster-autoscaler": {"autoDiscovery": {"clusterName": "logsluice-dev"}, "awsRegion": "eu-central-1"}
}
"""Values that only a stack knows: infra/ adds them."""


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Values over values as Helm merges them: maps together, all else replaced."""
    both = dict(under)
    for key, value in over.items():
        below = both.get(key)
        both[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return both


def own_values(release: str, stack: str | None = None) -> dict[str, Any]:
    """One file of values: the common one, or that of a stack."""
    path = HELM / release / (f"values-{stack}.yaml" if stack else "values.yaml")
    return yaml.safe_load(path.read_text()) if path.is_file() else {}


def values(release: str, stack: str) -> dict[str, Any]:
    """The values of a release in a stack."""
    return merged(merged(own_values(release), own_values(release, stack)), OF_THE_STACK.get(release, {}))


class Leaf(NamedTuple):
    """A value and the keys that lead to it; a list's entries have none."""

    path: tuple[str, ...]
    value: Any


def leaves(tree: Any, path: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """Every value that is no map, lists whole."""
    if isinstance(tree, Mapping) and tree:
        for key, value in tree.items():
            yield from leaves(value, (*path, str(key)))
    else:
        yield Leaf(path, tree)


def texts(tree: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at any depth, lists too."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield str(key), value
            yield from texts(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from texts(value)
