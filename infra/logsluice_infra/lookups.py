"""What only AWS can answer while a plan is made. Nothing else in the program asks it anything."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

_WITHOUT_EKS = ("use1-az3", "usw1-az2", "cac1-az3")
"""Zones that EKS cannot put its network interfaces in (EKS user guide, network requirements)."""


@dataclass(frozen=True)
class Lookups:
    """The account, its partition (aws, aws-cn, ...) and the zones that the stack uses."""

    account: str
    partition: str
    zones: tuple[str, ...]


def ask(region: str, zones: int) -> Lookups:
    """Ask AWS.

    Args:
        region: the stack's region.
        zones: how many zones the stack uses; the first ones by name, so that the answer stays when AWS adds one.

    Raises:
        pulumi.RunError: when the region has fewer zones.
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
    return Lookups(
        account=aws.get_caller_identity().account_id,
        partition=aws.get_partition().partition,
        zones=tuple(names),
    )
