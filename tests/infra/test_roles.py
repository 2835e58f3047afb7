"""The roles of the workflows (infra/roles): what the stack needs, on what is the stack's, and no way to more."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Any

import pytest

from logsluice_infra.settings import parse
from tests.infra.graph import (
    ACCOUNT,
    INFRA,
    REGION,
    ROOT,
    Graph,
    as_the_engine_gives_it,
    build,
    project_config,
    stack_file,
)

BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/logsluice-boundary"
MAKES = {
    # A resource of the program: the action that makes it (AWS service authorization reference). EC2's are on "*".
    "ec2/eip:Eip": "ec2:AllocateAddress",
    "ec2/flowLog:FlowLog": "ec2:CreateFlowLogs",
    "ec2/internetGateway:InternetGateway": "ec2:CreateInternetGateway",
    "ec2/launchTemplate:LaunchTemplate": "ec2:CreateLaunchTemplate",
    "ec2/natGateway:NatGateway": "ec2:CreateNatGateway",
    "ec2/route:Route": "ec2:CreateRoute",
    "ec2/routeTable:RouteTable": "ec2:CreateRouteTable",
    "ec2/routeTableAssociation:RouteTableAssociation": "ec2:AssociateRouteTable",
    "ec2/securityGroup:SecurityGroup": "ec2:CreateSecurityGroup",
    "ec2/defaultSecurityGroup:DefaultSecurityGroup": "ec2:RevokeSecurityGroupIngress",
    "ec2/subnet:Subnet": "ec2:CreateSubnet",
    "ec2/vpc:Vpc": "ec2:CreateVpc",
    "ec2/vpcEndpoint:VpcEndpoint": "ec2:CreateVpcEndpoint",
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule": "ec2:AuthorizeSecurityGroupIngress",
}
NAMED = {
    # The action that makes it, and its ARN by its inputs.
    "cloudwatch/logGroup:LogGroup": ("logs:CreateLogGroup", "arn:aws:logs:{region}:{account}:log-group:{name}"),
    "ecr/repository:Repository": ("ecr:CreateRepository", "arn:aws:ecr:{region}:{account}:repository/{name}"),
    "eks/cluster:Cluster": ("eks:CreateCluster", "arn:aws:eks:{region}:{account}:cluster/{name}"),
    "eks/addon:Addon": ("eks:CreateAddon", "arn:aws:eks:{region}:{account}:cluster/{clusterName}"),
    "eks/nodeGroup:NodeGroup": ("eks:DeleteNodegroup",
        "arn:aws:eks:{region}:{account}:nodegroup/{clusterName}/{nodeGroupName}/0"),
    "eks/podIdentityAssociation:PodIdentityAssociation": (
        "eks:CreatePodIdentityAssociation", "arn:aws:eks:{region}:{account}:cluster/{clusterName}"),
    "iam/role:Role": ("iam:CreateRole", "arn:aws:iam::{account}:role/{name}"),
    "kms/alias:Alias": ("kms:CreateAlias", "arn:aws:kms:{region}:{account}:{name}"),
    "s3/bucket:Bucket": ("s3:CreateBucket", "arn:aws:s3:::{bucket}"),
}  # fmt: skip


def policy(name: str, stack: str) -> list[dict[str, Any]]:
    text = (INFRA / "roles" / f"{name}.json").read_text("utf-8")
    for place, value in (("ACCOUNT", ACCOUNT), ("REGION", REGION), ("STACK", stack)):
        text = text.replace(place, value)
    statements: list[dict[str, Any]] = json.loads(text)["Statement"]
    return statements


def _list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def allowed(statements: list[dict[str, Any]], action: str, arn: str) -> list[dict[str, Any]]:
    """The statements that allow an action on a resource."""
    return [
        statement
        for statement in statements
        if statement["Effect"] == "Allow"
        and any(fnmatchcase(action, pattern) for pattern in _list(statement["Action"]))
        and any(fnmatchcase(arn, pattern) for pattern in _list(statement["Resource"]))
    ]


def _stack(graph: Graph) -> str:
    name: str = graph.outputs["cluster_name"]
    return name.removeprefix("logsluice-")


def test_a_deployment_may_make_every_resource_of_its_stack(aws_stack: Graph) -> None:
    statements = policy("deploy", _stack(aws_stack))
    for type_, action in MAKES.items():
        assert allowed(statements, action, "*"), type_
    seen = set()
    for type_, (action, pattern) in NAMED.items():
        for node in aws_stack.of(type_):
            seen.add(type_)
            assert allowed(statements, action, pattern.format(account=ACCOUNT, region=REGION, **node.inputs)), node
    assert seen == set(NAMED)


def test_a_deployment_reaches_nothing_of_another_stack() -> None:
    statements = policy("deploy", "dev")
    for node in build("prod").nodes:
        action, pattern = next((made for type_, made in NAMED.items() if node.type.endswith(type_)), ("", ""))
        if action:
            assert not allowed(statements, action, pattern.format(account=ACCOUNT, region=REGION, **node.inputs)), node


@pytest.mark.parametrize("action", ["iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy"])
def test_a_deployment_makes_no_role_beyond_the_boundary(action: str) -> None:
    for statement in allowed(policy("deploy", "dev"), action, f"arn:aws:iam::{ACCOUNT}:role/logsluice-dev-x"):
        assert statement["Condition"]["StringEquals"]["iam:PermissionsBoundary"] == BOUNDARY
    for other in (
        "iam:DeleteRolePermissionsBoundary",
        "iam:CreateUser",
        "iam:CreateAccessKey",
        "iam:CreatePolicyVersion",
    ):
        assert not allowed(policy("deploy", "dev"), other, f"arn:aws:iam::{ACCOUNT}:role/logsluice-dev-x")
    assert not allowed(policy("deploy", "dev"), action, f"arn:aws:iam::{ACCOUNT}:role/logsluice-deploy-dev")


def test_the_boundary_leaves_no_way_to_more() -> None:
    statements = policy("boundary", "dev")
    for action in (
        "iam:CreateRole",
        "iam:PutRolePolicy",
        "iam:AttachRolePolicy",
        "sts:AssumeRole",
        "organizations:LeaveOrganization",
    ):
        assert not allowed(statements, action, "*"), action


@pytest.mark.parametrize("name", ["boundary", "deploy", "preview"])
def test_aws_takes_the_policies(name: str) -> None:
    """A managed policy has 6,144 characters at most, white space apart (IAM and STS quotas)."""
    statements = policy(name, "a" * 20)
    assert len("".join(json.dumps({"Version": "2012-10-17", "Statement": statements}).split())) <= 6144
    sids = [statement["Sid"] for statement in statements]
    assert len(set(sids)) == len(sids)
    assert all(re.fullmatch("[A-Za-z0-9]+", sid) for sid in sids)


def test_a_preview_changes_nothing_but_locks() -> None:
    for statement in policy("preview", "dev"):
        verbs = {action.partition(":")[2] for action in _list(statement["Action"])}
        if statement["Sid"] == "StateLocks":
            assert statement["Resource"].endswith("/.pulumi/locks/*")
        else:
            assert all(re.match("Describe|Get|List|Decrypt", verb) for verb in verbs), statement


def test_managed_policies_are_those_of_the_program(aws_stack: Graph) -> None:
    (statement,) = [each for each in policy("deploy", "dev") if each["Action"] == "iam:AttachRolePolicy"]
    attached = {node.inputs["policyArn"] for node in aws_stack.of("rolePolicyAttachment:RolePolicyAttachment")}
    assert set(statement["Condition"]["ArnEquals"]["iam:PolicyARN"]) == attached


def test_every_role_has_the_boundary_that_the_stack_names() -> None:
    roles = build("dev", permissionsBoundary=BOUNDARY).of("iam/role:Role")
    assert roles
    assert {node.inputs["permissionsBoundary"] for node in roles} == {BOUNDARY}
    assert not any("permissionsBoundary" in node.inputs for node in build("dev").of("iam/role:Role"))


def test_a_boundary_must_be_a_policy() -> None:
    values = as_the_engine_gives_it({**project_config(), **stack_file("dev"), "logsluice:permissionsBoundary": "mine"})
    texts = {key.partition(":")[2]: value for key, value in values.items() if key.startswith("logsluice:")}
    with pytest.raises(ValueError, match=r"logsluice:permissionsBoundary: 'mine' is not the ARN of an IAM policy"):
        parse("dev", REGION, texts)


def test_both_environments_ask_for_a_reviewer_and_take_tags_alone() -> None:
    text = (ROOT / "docs" / "deploy.md").read_text("utf-8")
    section = text.partition("## From a workflow")[2].partition("\n## ")[0]
    assert "for environment in dev prod" in section
    assert '"type": "tag"' in section
    assert "AdministratorAccess" not in section
    assert "cluster.admins" in section
