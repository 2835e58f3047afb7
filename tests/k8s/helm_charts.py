"""Charts from a folder of their sources, the keys that they know, and what they render to.

The folder, which LOGSLUICE_CHARTS names, has each chart as a folder of its name or as `helm pull` writes it; the
charts that one brings with it are in its own folder charts/.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
import yaml

from tests.k8s.helm_values import RELEASES, merged, values
from tests.k8s.k8s_tools import Loader
from tests.shared.shared_folder import tool

VARIABLE = "LOGSLUICE_CHARTS"
KUBERNETES = "1.36.3"

FREE = {
    ("cluster-autoscaler", "extraArgs"),
    ("kube-prometheus-stack", "grafana", "grafana.ini"),
}
"""Maps of a chart that are not empty and yet take any key: arguments, and a file that is Grafana's own."""


def release(name: str) -> dict[str, Any]:
    """An entry of the list."""
    return next(entry for entry in RELEASES if entry["name"] == name)


@cache
def chart(name: str) -> Path:
    """The folder of a release's chart; skips the test where no folder of charts is given."""
    if not (given := os.environ.get(VARIABLE)):
        pytest.skip(f"{VARIABLE} names no folder with the charts' sources")
    entry = release(name)
    for candidate in (entry["chart"], f"{entry['chart']}-{entry['version']}", name):
        if (Path(given) / candidate / "Chart.yaml").is_file():
            return Path(given) / candidate
    packed = Path(given) / f"{entry['chart']}-{entry['version']}.tgz"
    if not packed.is_file():
        pytest.fail(f"{given} has no chart {entry['chart']}, neither as a folder nor as {packed.name}")
    folder = Path(mkdtemp(prefix="logsluice-chart-"))
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    return folder / str(entry["chart"])


def _yaml(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader) or {}


def defaults(folder: Path) -> dict[str, Any]:
    """A chart's values, and below their names those of the charts that it brings."""
    own: dict[str, Any] = _yaml(folder / "values.yaml") if (folder / "values.yaml").is_file() else {}
    brought = {
        sub["name"]: sub.get("alias", sub["name"]) for sub in _yaml(folder / "Chart.yaml").get("dependencies", [])
    }
    for sub in sorted((folder / "charts").glob("*/Chart.yaml")):
        name = _yaml(sub)["name"]
        key = brought.get(name, name)
        own[key] = merged(defaults(sub.parent), own.get(key) or {})
    return own


def _templates(folder: Path) -> str:
    files = (path for kind in ("*.yaml", "*.yml", "*.tpl") for path in (folder / "templates").rglob(kind))
    return "\n".join(path.read_text() for path in sorted(files))


@cache
def _read_by_templates(folder: Path) -> frozenset[str]:
    return frozenset(re.findall(r"\.Values\.([A-Za-z0-9_.]+)", _templates(folder)))


def unknown(name: str, tree: Mapping[str, Any]) -> Iterator[str]:
    """The keys of a release's values that its chart knows nothing of.

    Known is what the chart's values name, all below an empty map or a list of theirs, what its templates ask for by
    name, and all below a map that they hand on whole (it is a part of a Kubernetes object, and checked as such).
    """
    folder = chart(name)
    yield from _unknown(tree, defaults(folder), (name,), folder, ())


def _unknown(
    tree: Mapping[str, Any], known: Any, path: tuple[str, ...], folder: Path, below: tuple[str, ...]
) -> Iterator[str]:
    read = _read_by_templates(folder)
    if path in FREE or not known or not isinstance(known, Mapping) or ".".join(below) in read:
        return
    for key, value in tree.items():
        dotted = ".".join((*below, key))
        if key not in known:
            if not any(name == dotted or name.startswith(f"{dotted}.") for name in read):
                yield ".".join((*path, key))
        elif isinstance(value, Mapping):
            brought = folder / "charts" / key
            inside = (folder, (*below, key)) if below or not brought.is_dir() else (brought, ())
            yield from _unknown(value, known[key], (*path, key), *inside)


CLUSTER_WIDE = {
    "APIService",
    "ClusterIssuer",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "GatewayClass",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "PriorityClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
}
"""Kinds that charts make and that are in no namespace."""


def in_namespace(item: dict[str, Any], namespace: str) -> dict[str, Any]:
    """The object where Helm puts it: in the release's namespace, unless it names one or is in none."""
    if item["kind"] in CLUSTER_WIDE:
        return item
    return {**item, "metadata": {"namespace": namespace, **item["metadata"]}}


@cache
def rendered(name: str, stack: str, *, more: str = "{}") -> tuple[dict[str, Any], ...]:
    """What a release installs in a stack, its definitions included.

    Args:
        name: The release.
        stack: The stack.
        more: Values over all others, as JSON.
    """
    return template(name, merged(values(name, stack), json.loads(more)), "--include-crds")


def template(name: str, values: Mapping[str, Any], *options: str) -> tuple[dict[str, Any], ...]:
    """What `helm template` makes of a release's chart.

    Args:
        name: The release.
        values: Over the chart's own.
        options: Of `helm template`.
    """
    command = [tool("helm"), "template", name, str(chart(name)), "--namespace", release(name)["namespace"]]
    command += ["--kube-version", KUBERNETES, *options, "--values", "-"]
    done = subprocess.run(command, input=yaml.safe_dump(values), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return tuple(_flat(yaml.load_all(done.stdout, Loader)))


def _flat(documents: Any) -> Iterator[dict[str, Any]]:
    """The objects; those of lists one by one."""
    for document in documents:
        if document and document["kind"].endswith("List") and "items" in document:
            yield from document["items"]
        elif document:
            yield document
