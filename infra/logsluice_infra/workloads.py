"""The stack's kustomize overlay without its namespaces, after the operators that own its custom resources."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_kubernetes as kubernetes

from .facts import Facts, fill
from .settings import PROGRAM, ROOT

_STATEFUL = ("Kafka", "KafkaNodePool", "KafkaTopic")
_AWAITED = ("Deployment", "StatefulSet")
_PATIENCE = pulumi.CustomTimeouts(create="20m", update="20m")
"""On an empty cluster these wait for Kafka and Elasticsearch to be there first."""


def overlay(stack: str) -> Path:
    """What a stack applies: an overlay without the namespaces, which the stack has made already.

    Raises:
        ValueError: the stack has none.
    """
    directory = ROOT / "k8s" / "stacks" / stack
    if not (directory / "kustomization.yaml").is_file():
        raise ValueError(f"logsluice:image: there are no workloads for it, {directory.relative_to(ROOT)} is missing")
    return directory


@dataclass(frozen=True)
class WorkloadsArgs:
    """The overlay.

    Attributes:
        directory: where its kustomization.yaml is.
        facts: the image and the bucket that take their places in it.
        protect: deny the deletion of what holds data.
        before: what must be there before: the operators, and the identities of the pods.
    """

    directory: Path
    facts: Facts
    protect: bool
    before: Sequence[pulumi.Resource]


class Workloads(pulumi.ComponentResource):
    """Every object of the overlay as a resource of its own."""

    def __init__(self, name: str, args: WorkloadsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("logsluice:infra:Workloads", name, None, opts)
        kubernetes.kustomize.v2.Directory(
            "workloads",
            directory=os.path.relpath(args.directory, PROGRAM),
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=list(args.before), transforms=[transform(args.facts, args.protect)]
            ),
        )
        self.register_outputs({})


def transform(
    facts: Facts, protect: bool
) -> Callable[[pulumi.ResourceTransformArgs], pulumi.ResourceTransformResult | None]:
    """What is done to each object on its way from the overlay to the cluster."""

    def apply(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
        if not args.custom:
            return None
        kind = args.type_.rpartition(":")[2]
        own_options = pulumi.ResourceOptions(
            protect=(protect and kind in _STATEFUL) or None,
            custom_timeouts=_PATIENCE if kind in _AWAITED else None,
        )
        return pulumi.ResourceTransformResult(
            props=fill(args.props, facts), opts=pulumi.ResourceOptions.merge(args.opts, own_options)
        )

    return apply
