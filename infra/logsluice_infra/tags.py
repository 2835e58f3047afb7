"""Tags and labels that say whose a thing is."""

from __future__ import annotations

MANAGED_BY = "managed-by"


def tags(stack: str, name: str, **extra: str) -> dict[str, str]:
    """Tags of an AWS resource: `Name`, and what bills and searches are split by."""
    return {"Name": name, "project": "logsluice", "stack": stack, MANAGED_BY: "pulumi", **extra}


def labels(component: str) -> dict[str, str]:
    """Labels of a Kubernetes object."""
    return {
        "app.kubernetes.io/name": "logsluice",
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "logsluice",
        "app.kubernetes.io/managed-by": "pulumi",
    }
