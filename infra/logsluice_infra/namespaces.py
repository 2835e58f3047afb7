"""The namespaces, made before anything that goes into them and gone after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes
import yaml

from .identity import NAMESPACE
from .settings import ROOT
from .tags import labels

_WORKLOADS = ROOT / "k8s" / "base" / "network" / "namespace.yaml"
_PRIVILEGED = ("monitoring",)
"""node-exporter mounts the host's /proc and /sys; nothing else runs there that is not ours to choose."""


@dataclass(frozen=True)
class NamespacesArgs:
    """The namespaces.

    Attributes:
        names: those of the releases; `kube-system` among them is the cluster's own and is left alone.
        protect: deny the deletion of the one that holds the data.
        before: what a pod in them may need, and so must go after them: nodes, drivers, the class of volumes, roles.
    """

    names: Sequence[str]
    protect: bool
    before: Sequence[pulumi.Resource]


class Namespaces(pulumi.ComponentResource):
    """Every namespace with its Pod Security level."""

    def __init__(self, name: str, args: NamespacesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("logsluice:infra:Namespaces", name, None, opts)
        for namespace in sorted({*args.names, NAMESPACE} - {"kube-system"}):
            ours = namespace == NAMESPACE
            kubernetes.core.v1.Namespace(
                namespace,
                metadata=kubernetes.meta.v1.ObjectMetaArgs(
                    name=namespace, labels=_workloads_labels() if ours else _operators_labels(namespace)
                ),
                # A component's own dependencies are not its children's.
                opts=pulumi.ResourceOptions(parent=self, protect=args.protect and ours, depends_on=list(args.before)),
            )
        self.register_outputs({})


def _workloads_labels() -> Mapping[str, str]:
    """As the manifests say it: the overlay applies the very same object, and two owners must not disagree."""
    document = yaml.safe_load(_WORKLOADS.read_text("utf-8"))
    found: dict[str, str] = document["metadata"]["labels"]
    return found


def _operators_labels(namespace: str) -> Mapping[str, str]:
    enforce = "privileged" if namespace in _PRIVILEGED else "baseline"
    return {
        **labels("namespace"),
        "pod-security.kubernetes.io/enforce": enforce,
        "pod-security.kubernetes.io/warn": "privileged" if namespace in _PRIVILEGED else "restricted",
    }
