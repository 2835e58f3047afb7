"""dev and prod differ in what is listed here, and in nothing else."""

from __future__ import annotations

import re
from typing import Any

from tests.infra.graph import Graph, Node, plain, stack_file

SETTINGS = {
    # setting: dev, prod
    "protect": (False, True),
    "network.cidr": ("10.20.0.0/16", "10.30.0.0/16"),
    "network.zones": (2, 3),
    "network.nat": ("single", "per-zone"),
    "network.interfaceEndpoints": ([], ["ecr.api", "ecr.dkr", "sts", "logs", "ec2", "eks-auth"]),
    "network.flowLogs": ("REJECT", "ALL"),
    "network.flowLogDays": (7, 30),
    "cluster.publicAccessCidrs": (["203.0.113.0/24"], []),
    "cluster.logDays": (7, 90),
    "cluster.nodeGroups.system.instanceTypes": (["m6i.large"], ["m6i.xlarge"]),
    "cluster.nodeGroups.system.min": (2, 3),
    "cluster.nodeGroups.system.desired": (2, 3),
    "cluster.nodeGroups.system.max": (4, 6),
    "cluster.nodeGroups.system.diskGib": (50, 100),
    "cluster.nodeGroups.data.instanceTypes": (["r6i.large"], ["r6i.2xlarge"]),
    "cluster.nodeGroups.data.max": (2, 3),
    "cluster.nodeGroups.data.diskGib": (50, 100),
    "cluster.nodeGroups.spark.instanceTypes": (
        ["m6i.xlarge", "m5.xlarge", "m5a.xlarge", "m6a.xlarge"],
        ["m6i.2xlarge"],
    ),
    "cluster.nodeGroups.spark.capacity": ("SPOT", "ON_DEMAND"),
    "cluster.nodeGroups.spark.max": (4, 10),
    "cluster.nodeGroups.spark.diskGib": (100, 200),
    "storage.oldVersionsDays": (7, 30),
    "storage.sparkEventsDays": (14, 30),
    "storage.imagesKept": (20, 100),
    "storage.forceDestroy": (True, False),
    "storage.keyDeletionDays": (7, 30),
    "storage.volumeReclaim": ("Delete", "Retain"),
}
ONLY_PROD = {
    "aws:ec2/subnet:Subnet": {"public-c", "private-c"},
    "aws:ec2/routeTable:RouteTable": {"private-c"},
    "aws:ec2/route:Route": {"private-c-internet"},
    "aws:ec2/routeTableAssociation:RouteTableAssociation": {"public-c", "private-c"},
    "aws:ec2/eip:Eip": {"nat-b", "nat-c"},
    "aws:ec2/natGateway:NatGateway": {"nat-b", "nat-c"},
    "aws:ec2/securityGroup:SecurityGroup": {"endpoints"},
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": {"endpoints-https"},
    "aws:ec2/vpcEndpoint:VpcEndpoint": {"ecr-api", "ecr-dkr", "sts", "logs", "ec2", "eks-auth"},
    "aws:eks/nodeGroup:NodeGroup": {"data-c"},
}
PROTECTED = {
    # What holds data, or what that cannot live without.
    "aws:ec2/vpc:Vpc vpc",
    "aws:ecr/repository:Repository image",
    "aws:eks/cluster:Cluster cluster",
    "aws:eks/nodeGroup:NodeGroup data-a",
    "aws:eks/nodeGroup:NodeGroup data-b",
    "aws:eks/nodeGroup:NodeGroup data-c",
    "aws:kms/key:Key cluster-key",
    "aws:kms/key:Key data-key",
    "aws:s3/bucket:Bucket bucket",
    "kubernetes:core/v1:Namespace logsluice",
    "kubernetes:core/v1:Namespace logsluice-spark",
    "kubernetes:helm.sh/v3:Release eck-stack",
}
INPUTS = {
    # type: the inputs that a setting above changes, or that follow from the zones and the name of the stack
    "aws:cloudwatch/logGroup:LogGroup": {"retentionInDays"},
    "aws:ec2/flowLog:FlowLog": {"trafficType"},
    "aws:ec2/launchTemplate:LaunchTemplate": {"blockDeviceMappings"},
    "aws:ec2/route:Route": {"natGatewayId"},
    "aws:ec2/subnet:Subnet": {"cidrBlock"},
    "aws:ec2/vpc:Vpc": {"cidrBlock"},
    "aws:ec2/vpcEndpoint:VpcEndpoint": {"routeTableIds"},
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": {"policy"},
    "aws:ecr/repository:Repository": {"forceDelete"},
    "aws:eks/cluster:Cluster": {"vpcConfig", "deletionProtection"},
    "aws:eks/nodeGroup:NodeGroup": {
        "capacityType", "instanceTypes", "nodeGroupName", "scalingConfig", "subnetIds"
    },
    "aws:kms/key:Key": {"deletionWindowInDays"},
    "aws:s3/bucket:Bucket": {"forceDestroy"},
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": {"rules"},
    "kubernetes:helm.sh/v3:Release": {"values"},
    "kubernetes:kustomize/v2:Directory": {"directory"},
    "kubernetes:storage.k8s.io/v1:StorageClass": {"reclaimPolicy"},
}  # fmt: skip


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        where = f"{prefix}{key.removeprefix('logsluice:')}"
        flat |= _flat(value, f"{where}.") if isinstance(value, dict) else {where: value}
    return flat


def test_the_files_differ_in_the_listed_settings() -> None:
    dev, prod = _flat(stack_file("dev")), _flat(stack_file("prod"))
    assert set(dev) == set(prod)
    assert {key: (dev[key], prod[key]) for key in dev if dev[key] != prod[key]} == SETTINGS


def _by_name(graph: Graph) -> dict[tuple[str, str], Node]:
    return {(node.type, node.name): node for node in graph.nodes}


def test_prod_has_the_listed_resources_more(dev: Graph, prod: Graph) -> None:
    more: dict[str, set[str]] = {}
    for type_, name in set(_by_name(prod)) - set(_by_name(dev)):
        more.setdefault(type_, set()).add(name)
    assert more == ONLY_PROD
    assert not set(_by_name(dev)) - set(_by_name(prod))


def _neutral(value: Any) -> Any:
    """Without what follows from the stack's name."""
    if isinstance(value, dict):
        return {_neutral(key): _neutral(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_neutral(item) for item in value]
    return re.sub(r"\b(dev|prod)\b", "STACK", value) if isinstance(value, str) else value


def test_what_both_have_differs_in_the_listed_inputs(dev: Graph, prod: Graph) -> None:
    ours, theirs = _by_name(dev), _by_name(prod)
    differing: dict[str, set[str]] = {}
    for key in set(ours) & set(theirs):
        one, two = (_neutral({k: plain(v) for k, v in node.inputs.items()}) for node in (ours[key], theirs[key]))
        changed = {name for name in {*one, *two} if one.get(name) != two.get(name)}
        if changed:
            differing.setdefault(key[0], set()).update(changed)
    surprising = {kind: names - INPUTS.get(kind, set()) for kind, names in differing.items()}
    assert not {kind: names for kind, names in surprising.items() if names}


def test_only_prod_protects_and_only_what_holds_data(dev: Graph, prod: Graph) -> None:
    assert not [str(node) for node in dev.nodes if node.protect]
    definitions = {str(node) for node in prod.nodes if node.type.endswith("yaml/v2:ConfigGroup")}
    assert {str(node) for node in prod.nodes if node.protect} == PROTECTED | definitions
    assert prod.one("eks/cluster:Cluster").inputs["deletionProtection"] is True


def test_a_protected_stack_can_be_taken_down_once_it_says_so(prod: Graph) -> None:
    from tests.infra.graph import build

    graph = build("prod", protect=False)
    assert not [str(node) for node in graph.nodes if node.protect]
    assert graph.one("eks/cluster:Cluster").inputs["deletionProtection"] is False
    assert {node.urn for node in graph.nodes} <= {node.urn for node in prod.nodes}


def test_data_can_outlive_the_stack() -> None:
    from tests.infra.graph import build

    kept = {str(node) for node in build("prod", retainData=True).nodes if node.retain_on_delete}
    assert kept == {
        "aws:s3/bucket:Bucket bucket",
        "aws:ecr/repository:Repository image",
        "aws:kms/key:Key data-key",
        "aws:kms/alias:Alias data-key",
    }
    assert not [node for node in build("prod").nodes if node.retain_on_delete]
