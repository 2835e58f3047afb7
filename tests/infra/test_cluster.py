"""EKS: its versions, its node groups, and the order that nodes and add-ons need each other in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from logsluice_infra.lookups import same
from tests.infra.graph import ACCOUNT, DIGEST, Entries, Graph, build, project_config, stack_file

BEFORE_NODES = ("vpc-cni", "kube-proxy", "eks-pod-identity-agent")
AFTER_NODES = ("coredns", "metrics-server", "aws-ebs-csi-driver")


def test_versions_are_stated_and_of_one_kind(aws_stack: Graph) -> None:
    version = aws_stack.one("eks/cluster:Cluster").inputs["version"]
    assert version in project_config()["logsluice:eksVersions"]
    addons = {node.inputs["addonName"]: node.inputs["addonVersion"] for node in aws_stack.of("eks/addon:Addon")}
    assert set(addons) == {*BEFORE_NODES, *AFTER_NODES}
    assert all(re.fullmatch(r"v\d+\.\d+\.\d+-eksbuild\.\d+", found) for found in addons.values())
    assert addons["kube-proxy"].startswith(f"v{version}.")
    assert {node.inputs["version"] for node in aws_stack.of("nodeGroup:NodeGroup")} == {version}


def test_the_control_plane(aws_stack: Graph) -> None:
    inputs = aws_stack.one("eks/cluster:Cluster").inputs
    assert inputs["accessConfig"] == {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": True}
    assert inputs["bootstrapSelfManagedAddons"] is False
    assert set(inputs["enabledClusterLogTypes"]) == {
        "api", "audit", "authenticator", "controllerManager", "scheduler"
    }  # fmt: skip
    zones = {
        node.inputs["availabilityZone"]
        for node in aws_stack.of("subnet:Subnet")
        if node.id in inputs["vpcConfig"]["subnetIds"]
    }
    assert len(zones) >= 2, "EKS wants subnets in two zones"


def test_its_role_its_log_group_and_the_ways_out_are_there_before(aws_stack: Graph) -> None:
    """EKS would make the log group itself, unencrypted; without routes the nodes never join."""
    before = aws_stack.before(aws_stack.one("eks/cluster:Cluster"))
    needed = [
        aws_stack.one("rolePolicyAttachment:RolePolicyAttachment", "cluster-AmazonEKSClusterPolicy"),
        aws_stack.one("rolePolicy:RolePolicy", "cluster-secrets"),
        aws_stack.one("logGroup:LogGroup", "cluster"),
        *aws_stack.of("route:Route"),
    ]
    assert {node.urn for node in needed} <= before


def test_what_a_node_needs_to_be_ready_is_there_before_it_and_the_rest_after(aws_stack: Graph) -> None:
    groups = aws_stack.of("nodeGroup:NodeGroup")
    addons = {node.name: node for node in aws_stack.of("eks/addon:Addon")}
    attached = [n for n in aws_stack.of("rolePolicyAttachment:RolePolicyAttachment") if n.name.startswith("node-")]
    assert len(attached) == 3
    for group in groups:
        before = aws_stack.before(group)
        assert {addons[name].urn for name in BEFORE_NODES} <= before
        assert {node.urn for node in attached} <= before
    for name in AFTER_NODES:
        assert {group.urn for group in groups} <= aws_stack.before(addons[name])


@pytest.mark.parametrize("addon", ["vpc-cni", "aws-ebs-csi-driver"])
def test_drivers_have_an_identity_of_their_own(aws_stack: Graph, addon: str) -> None:
    node = aws_stack.one("eks/addon:Addon", addon)
    (association,) = node.inputs["podIdentityAssociations"]
    assert association["roleArn"].endswith({"vpc-cni": "-vpc-cni", "aws-ebs-csi-driver": "-ebs-csi"}[addon])
    before = aws_stack.before(node)
    assert aws_stack.one("eks/addon:Addon", "eks-pod-identity-agent").urn in before
    assert next(n.urn for n in aws_stack.of("RolePolicyAttachment") if n.name.startswith(addon)) in before


def test_network_policies_are_enforced(aws_stack: Graph) -> None:
    configuration = json.loads(aws_stack.one("eks/addon:Addon", "vpc-cni").inputs["configurationValues"])
    assert configuration["enableNetworkPolicy"] == "true"


def test_addons_go_with_the_stack(aws_stack: Graph) -> None:
    assert {node.inputs["preserve"] for node in aws_stack.of("eks/addon:Addon")} == {False}


def test_node_groups(aws_stack: Graph) -> None:
    zones = len(aws_stack.of("natGateway:NatGateway")) if len(aws_stack.of("natGateway:NatGateway")) > 1 else 2
    groups = {node.name: node.inputs for node in aws_stack.of("nodeGroup:NodeGroup")}
    assert set(groups) == {"system", "spark", *(f"data-{letter}" for letter in "abc"[:zones])}
    for name, inputs in groups.items():
        kind = name.partition("-")[0]
        scaling = inputs["scalingConfig"]
        assert 0 <= scaling["minSize"] <= scaling["desiredSize"] <= scaling["maxSize"] <= 450
        assert scaling["maxSize"] >= 1
        assert inputs["labels"] == {"logsluice.io/node-group": kind}
        taint = {"key": "logsluice.io/workload", "value": kind, "effect": "NO_SCHEDULE"}
        assert inputs["taints"] == ([] if kind == "system" else [taint])
        assert inputs["launchTemplate"] == {"id": f"{kind}-id", "version": "1"}
        assert all(re.fullmatch(r"[a-z][a-z0-9-]*\.([0-9]*x)?large", t) for t in inputs["instanceTypes"])
        assert len(inputs["subnetIds"]) == (1 if kind == "data" else zones)
    assert groups["spark"]["scalingConfig"]["minSize"] == 0
    assert all(inputs["capacityType"] == "ON_DEMAND" for name, inputs in groups.items() if name.startswith("data"))


def test_a_zones_data_nodes_are_in_that_zone(aws_stack: Graph) -> None:
    """A volume cannot leave its zone: the autoscaler must know where a group's nodes will be."""
    for node in aws_stack.of("nodeGroup:NodeGroup"):
        if node.name.startswith("data-"):
            assert node.inputs["subnetIds"] == [f"private-{node.name[-1]}-id"]


def test_the_autoscaler_may_change_what_pulumi_does_not_change_back(aws_stack: Graph) -> None:
    for node in aws_stack.of("nodeGroup:NodeGroup"):
        assert node.ignore_changes == ("scalingConfig.desiredSize",), node


def test_a_group_that_must_be_replaced_gets_another_name() -> None:
    """So that its nodes are there before the old ones go; one that only grows keeps its name."""

    def names(**changes: object) -> dict[str, str]:
        cluster = stack_file("dev")["logsluice:cluster"]
        spark = {**cluster["nodeGroups"]["spark"], **changes}
        groups = {**cluster["nodeGroups"], "spark": spark}
        graph = build("dev", cluster={**cluster, "nodeGroups": groups})
        return {node.name: node.inputs["nodeGroupName"] for node in graph.of("nodeGroup:NodeGroup")}

    before = names()
    assert names(max=9) == before
    after = names(instanceTypes=["m7i.xlarge"])
    assert after["spark"] != before["spark"]
    assert {**after, "spark": ""} == {**before, "spark": ""}


def test_people_come_in_by_access_entries() -> None:
    admin, viewer = "arn:aws:iam::123456789012:role/platform", "arn:aws:iam::123456789012:role/on-call"
    cluster = {**stack_file("dev")["logsluice:cluster"], "admins": [admin], "viewers": [viewer]}
    graph = build("dev", cluster=cluster, image=DIGEST)
    granted = {
        node.inputs["principalArn"]: node.inputs["policyArn"]
        for node in graph.of("accessPolicyAssociation:AccessPolicyAssociation")
    }
    assert granted == {
        admin: "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
        viewer: "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
    }
    entries = {node.inputs["principalArn"]: node for node in graph.of("accessEntry:AccessEntry")}
    for node in graph.of("accessPolicyAssociation:AccessPolicyAssociation"):
        assert entries[node.inputs["principalArn"]].urn in graph.before(node)


# The creator, who is an administrator by EKS's own entry

MAKER = f"arn:aws:iam::{ACCOUNT}:role/teams/Maker"
OTHER = f"arn:aws:iam::{ACCOUNT}:role/Other"
OURS = {"managed-by": "pulumi"}


def _with(**people: list[str]) -> dict[str, Any]:
    return {**stack_file("dev")["logsluice:cluster"], **people}


@pytest.mark.parametrize("people", [{"admins": [MAKER]}, {"viewers": [OTHER, MAKER]}])
@pytest.mark.parametrize("entries", [None, {MAKER: {}, OTHER: OURS}])
def test_the_creator_among_those_who_come_in_is_told_before_aws_refuses(
    refused: Callable[..., str], people: dict[str, list[str]], entries: Entries | None
) -> None:
    line = refused("dev", cluster=_with(**people), entries=entries)
    assert line.startswith(f"logsluice:cluster.admins: {MAKER} makes the cluster, or made it")
    assert line.endswith("take it out of admins and viewers")


def test_who_made_it_is_not_who_runs_it_later() -> None:
    """As a workflow's role, which is an administrator by an entry of the stack's own."""
    people = _with(admins=[OTHER, f"arn:aws:iam::{ACCOUNT}:user/New"])
    other = f"arn:aws:sts::{ACCOUNT}:assumed-role/Other/run"
    graph = build("dev", cluster=people, caller=other, entries={MAKER: {}, OTHER: OURS})
    assert {node.inputs["principalArn"] for node in graph.of("accessEntry:AccessEntry")} == set(people["admins"])


@pytest.mark.parametrize(
    ("principal", "caller", "is_same"),
    [
        (MAKER, f"arn:aws:sts::{ACCOUNT}:assumed-role/Maker/me", True),
        (MAKER, "arn:aws:sts::999999999999:assumed-role/Maker/me", False),
        (MAKER, f"arn:aws:sts::{ACCOUNT}:assumed-role/Mak/me", False),
        (f"arn:aws:iam::{ACCOUNT}:user/Maker", f"arn:aws:sts::{ACCOUNT}:assumed-role/Maker/me", False),
        (f"arn:aws:iam::{ACCOUNT}:user/me", f"arn:aws:iam::{ACCOUNT}:user/me", True),
        (MAKER, f"arn:aws:iam::{ACCOUNT}:root", False),
    ],
)
def test_a_session_is_its_role(principal: str, caller: str, is_same: bool) -> None:
    assert same(principal, caller) is is_same
