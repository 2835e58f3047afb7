"""The namespaces, made before anything that goes into them and gone after it. Nothing else in a stack makes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes
import yaml

from .settings import ROOT
from .tags import labels

NAMESPACE = "logsluice"
SPARK_NAMESPACE = "logsluice-spark"
WORKLOADS = ROOT / "k8s" / "base" / "network" / "namespace.yaml"
_PRIVILEGED = ("monitoring",)
"""node-exporter mounts the host's /proc and /sys; nothing else runs there that is not ours to choose."""


@dataclass(frozen=True)
class NamespacesArgs:
    """The namespaces.

    Attributes:
        names: those of the releases; `kube-system` among them is the cluster's own and is left alone.
        protect: deny the deletion of those of the workloads, which hold the data.
        before: what a pod in them may need, and so must go after them: nodes, drivers, the class of volumes, roles.
    """

    names: Sequence[str]
    protect: bool
    before: Sequence[pulumi.Resource]


class Namespaces(pulumi.ComponentResource):
    """Every namespace with its Pod Security level."""

    def __init__(self, name: str, args: NamespacesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("logsluice:infra:Namespaces", name, None, opts)
        workload_labels = _workloads()
        for namespace in sorted({*args.names, *workload_labels} - {"kube-system"}):
            kubernetes.core.v1.Namespace(
                namespace,
                metadata=kubernetes.meta.v1.ObjectMetaArgs(
                    name=namespace, labels=workload_labels.get(namespace) or _operators_labels(namespace)
                ),
                # A component's own dependencies are not its children's.
                opts=pulumi.ResourceOptions(
                    parent=self, protect=args.protect and namespace in workload_labels, depends_on=list(args.before)
                ),
            )
        self.register_outputs({})


def _workloads() -> Mapping[str, Mapping[str, str]]:
    """The namespaces of the manifests with their labels."""
    documents = yaml.safe_load_all(WORKLOADS.read_text("utf-8"))
    return {document["metadata"]["name"]: document["metadata"]["labels"] for document in documents}


def _operators_labels(namespace: str) -> Mapping[str, str]:
    enforce = "privileged" if namespace in _PRIVILEGED else "baseline"
    return {
        **labels("namespace"),
        "pod-security.kubernetes.io/enforce": enforce,
        "pod-security.kubernetes.io/warn": "privileged" if namespace in _PRIVILEGED else "restricted",
    }
