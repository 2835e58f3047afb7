"""The recorded AWS resources in the form of a Terraform plan, which checkov reads; Pulumi's AWS provider is a bridge to
Terraform's, so that types and inputs have a counterpart each.
"""

from __future__ import annotations

import re
from typing import Any

from tests.infra.graph import Graph, Node

TYPES = {
    "cloudwatch/logGroup:LogGroup": "aws_cloudwatch_log_group",
    "ec2/defaultSecurityGroup:DefaultSecurityGroup": "aws_default_security_group",
    "ec2/eip:Eip": "aws_eip",
    "ec2/flowLog:FlowLog": "aws_flow_log",
    "ec2/internetGateway:InternetGateway": "aws_internet_gateway",
    "ec2/launchTemplate:LaunchTemplate": "aws_launch_template",
    "ec2/natGateway:NatGateway": "aws_nat_gateway",
    "ec2/route:Route": "aws_route",
    "ec2/routeTable:RouteTable": "aws_route_table",
    "ec2/routeTableAssociation:RouteTableAssociation": "aws_route_table_association",
    "ec2/securityGroup:SecurityGroup": "aws_security_group",
    "ec2/subnet:Subnet": "aws_subnet",
    "ec2/vpc:Vpc": "aws_vpc",
    "ec2/vpcEndpoint:VpcEndpoint": "aws_vpc_endpoint",
    "ecr/lifecyclePolicy:LifecyclePolicy": "aws_ecr_lifecycle_policy",
    "ecr/repository:Repository": "aws_ecr_repository",
    "eks/addon:Addon": "aws_eks_addon",
    "eks/cluster:Cluster": "aws_eks_cluster",
    "eks/nodeGroup:NodeGroup": "aws_eks_node_group",
    "eks/podIdentityAssociation:PodIdentityAssociation": "aws_eks_pod_identity_association",
    "iam/role:Role": "aws_iam_role",
    "iam/rolePolicy:RolePolicy": "aws_iam_role_policy",
    "iam/rolePolicyAttachment:RolePolicyAttachment": "aws_iam_role_policy_attachment",
    "kms/alias:Alias": "aws_kms_alias",
    "kms/key:Key": "aws_kms_key",
    "s3/bucket:Bucket": "aws_s3_bucket",
    "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": "aws_s3_bucket_lifecycle_configuration",
    "s3/bucketOwnershipControls:BucketOwnershipControls": "aws_s3_bucket_ownership_controls",
    "s3/bucketPolicy:BucketPolicy": "aws_s3_bucket_policy",
    "s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "aws_s3_bucket_public_access_block",
    "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "aws_s3_bucket_server_side_encryption_configuration"
    ),
    "s3/bucketVersioning:BucketVersioning": "aws_s3_bucket_versioning",
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule": "aws_vpc_security_group_ingress_rule",
}
SINGULAR = {
    # Terraform names a block by one, Pulumi a list of them by many.
    "encryptionConfigurations": "encryption_configuration",
    "podIdentityAssociations": "pod_identity_association",
    "rules": "rule",
    "taints": "taint",
}
MAPS = {"labels", "tags"}
"""Maps of the user's own keys; every other map is a block, of which Terraform has a list."""


def plan(graph: Graph) -> dict[str, Any]:
    """A plan that creates all of a graph's AWS resources, with their references to one another."""
    nodes = [node for node in graph.nodes if node.type.startswith("aws:")]
    resources: list[dict[str, Any]] = []
    configuration: list[dict[str, Any]] = []
    for node in nodes:
        values: dict[str, Any] = {_key(key): _value(key, value) for key, value in node.inputs.items()}
        type_, name = TYPES[node.type.removeprefix("aws:")], _name(node)
        common = {"address": f"{type_}.{name}", "mode": "managed", "type": type_, "name": name}
        resources.append({**common, "provider_name": "registry.terraform.io/hashicorp/aws", "values": values})
        expressions = {
            _key(key): {"references": references}
            for key, value in node.inputs.items()
            if (references := _references(value, node, nodes))
        }
        configuration.append({**common, "provider_config_key": "aws", "expressions": expressions})
    return {
        "format_version": "1.2",
        "terraform_version": "1.9.0",
        "planned_values": {"root_module": {"resources": resources}},
        "resource_changes": [{**resource, "change": _creation(resource["values"])} for resource in resources],
        "configuration": {"root_module": {"resources": configuration}},
    }


def _creation(values: dict[str, Any]) -> dict[str, Any]:
    return {"actions": ["create"], "before": None, "after": values, "after_unknown": {}}


def _name(node: Node) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", node.name)


def _key(key: str) -> str:
    return SINGULAR.get(key) or re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: f"_{found[1].lower()}", key)


def _value(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        if key in MAPS:
            return value
        return [{_key(inner): _value(inner, item) for inner, item in value.items()}]
    if isinstance(value, list):
        inner = [_value(key, item) for item in value]
        return [part for item in inner for part in (item if isinstance(item, list) else [item])]
    return value


def _references(value: Any, node: Node, nodes: list[Node]) -> list[str]:
    """What another resource's id or ARN in an input refers to. Ids are names here: only what comes before counts."""
    texts = value if isinstance(value, list) else [value]
    found = []
    for text in texts:
        if not isinstance(text, str) or not (text.endswith("-id") or text.startswith("arn:")):
            continue
        for other in nodes:
            if other.urn in node.depends_on and (other.id == text or text.endswith(f":{other.name}")):
                address = f"{TYPES[other.type.removeprefix('aws:')]}.{_name(other)}"
                found += [f"{address}.id", address]
    return found
