"""What only AWS can answer while a plan is made. Nothing else in the program asks it anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from .tags import MANAGED_BY

_WITHOUT_EKS = ("use1-az3", "usw1-az2", "cac1-az3")
"""Zones that EKS cannot put its network interfaces in (EKS user guide, network requirements)."""


@dataclass(frozen=True)
class Lookups:
    """The account, its partition (aws, aws-cn, ...) and the zones that the stack uses."""

    account: str
    partition: str
    zones: tuple[str, ...]


def read_lookups(region: str, zones: int, cluster: str, principals: Sequence[str]) -> Lookups:
    """What AWS says of the region, the account and the cluster.

    Args:
        region: the stack's region.
        zones: how many zones the stack uses; the first ones by name, so that the answer stays when AWS adds one.
        cluster: the cluster's name.
        principals: who is to come into it besides its creator.

    Raises:
        pulumi.RunError: when the region has fewer zones, or the creator of the cluster is among the principals.
    """
    found = aws.get_availability_zones(
        state="available",
        filters=[aws.GetAvailabilityZonesFilterArgs(name="opt-in-status", values=["opt-in-not-required"])],
        exclude_zone_ids=list(_WITHOUT_EKS),
    )
    names = sorted(found.names)[:zones]
    if len(names) < zones:
        raise pulumi.RunError(
            f"logsluice:network.zones: {zones} zones are asked for, {region} has {len(names)} that EKS can use"
        )
    caller = aws.get_caller_identity()
    if creator := _creator(cluster, principals, caller.arn):
        raise pulumi.RunError(
            f"logsluice:cluster.admins: {creator} makes the cluster, or made it, and with that is its administrator "
            "already; EKS refuses to name it again (409): take it out of admins and viewers"
        )
    return Lookups(
        account=caller.account_id,
        partition=aws.get_partition().partition,
        zones=tuple(names),
    )


def _creator(cluster: str, principals: Sequence[str], caller: str) -> str | None:
    """Who of the principals has the entry that EKS itself made with the cluster, or will have it."""
    if not principals:
        return None
    if cluster not in aws.eks.get_clusters().names:
        return next((each for each in principals if same(each, caller)), None)
    return next((each for each in principals if _is_eks_creator(cluster, each)), None)


def _is_eks_creator(cluster: str, principal: str) -> bool:
    """It has an access entry, and none of this program's: those have tags."""
    try:
        found = aws.eks.get_access_entry(cluster_name=cluster, principal_arn=principal)
    except Exception:  # the SDK has one kind of error for all; without an entry, or the right to look, `up` goes on
        return False
    return MANAGED_BY not in (found.tags or {})


def same(principal: str, caller: str) -> bool:
    """Whether a role or user of IAM is who calls. A session names its role without the path (IAM user guide, ARNs)."""
    account, name = principal.split(":", 5)[4:]
    calling = caller.split(":", 5)
    if calling[2] != "sts":
        return principal == caller
    kind, role, *_ = calling[5].split("/")
    return (
        kind == "assumed-role" and account == calling[4] and name.startswith("role/") and name.rsplit("/", 1)[1] == role
    )
