"""Prometheus' rules for compose, out of the PrometheusRule objects of Kubernetes: one source, two forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

NOT_IN_COMPOSE: Final = frozenset({"kubernetes.yaml"})
"""Rules on what only Kubernetes has: the kubelet's volumes, pods, jobs."""


def rule_files(source: Path) -> dict[str, str]:
    """The rule files as Prometheus itself reads them, by name.

    Args:
        source: The folder of the PrometheusRule objects.
    """
    return {
        f"{path.stem}.yml": f"# Written by `make views` from {path.parent.name}/{path.name}"
        " of k8s/components/monitoring.\n" + yaml.safe_dump(_spec(path), sort_keys=False, width=120, allow_unicode=True)
        for path in sorted(source.glob("*.yaml"))
        if path.name not in NOT_IN_COMPOSE
    }


def _spec(path: Path) -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load(path.read_text())["spec"]
    return spec
