"""The one place where the Kubernetes provider is made: from the cluster's outputs, or from a kubeconfig."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes

from .settings import ClusterAccess


def kubeconfig(
    name: str, region: str, endpoint: pulumi.Input[str], certificate_authority: pulumi.Input[str]
) -> pulumi.Output[str]:
    """A kubeconfig that holds no credential: `aws eks get-token` makes a short-lived one of the caller's own."""
    arguments = ["--region", region, "eks", "get-token", "--cluster-name", name, "--output", "json"]
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [
            {"name": name, "cluster": {"server": endpoint, "certificate-authority-data": certificate_authority}}
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "users": [
            {
                "name": name,
                "user": {
                    "exec": {
                        "apiVersion": "client.authentication.k8s.io/v1beta1",
                        "command": "aws",
                        "args": arguments,
                        "interactiveMode": "IfAvailable",
                    }
                },
            }
        ],
    }
    return pulumi.Output.secret(pulumi.Output.json_dumps(config, sort_keys=True))


def from_kubeconfig(
    name: str, config: pulumi.Input[str], *, adopt: bool, depends_on: list[pulumi.Resource] | None = None
) -> kubernetes.Provider:
    """The provider of a cluster that this stack made. Only another cluster's name makes it another provider."""
    return kubernetes.Provider(
        "cluster",
        kubeconfig=config,
        cluster_identifier=name,
        enable_server_side_apply=True,
        **_adoption(adopt),
        opts=pulumi.ResourceOptions(depends_on=depends_on),
    )


def from_access(access: ClusterAccess, *, adopt: bool) -> kubernetes.Provider:
    """The provider of a cluster that is already there; without settings, the one that kubectl would talk to."""
    return kubernetes.Provider(
        "cluster",
        kubeconfig=str(access.kubeconfig) if access.kubeconfig else None,
        context=access.context,
        enable_server_side_apply=True,
        **_adoption(adopt),
    )


def _adoption(adopt: bool) -> dict[str, bool]:
    """Objects that are there, and fields that another manager wrote (Helm's definitions), become the stack's."""
    return {"upsert_existing_objects": True, "enable_patch_force": True} if adopt else {}
