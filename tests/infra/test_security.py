"""Who may do what, what is encrypted, and what is reached from where: over every resource."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.infra.graph import ACCOUNT, REGION, Graph
from tests.shared.iam import allows

FORCED = {
    # (role, action): why its resource cannot be narrower than "*".
    ("cluster-autoscaler", "autoscaling:DescribeAutoScalingGroups"): "the action knows no resources",
    ("cluster-autoscaler", "autoscaling:DescribeAutoScalingInstances"): "the action knows no resources",
    ("cluster-autoscaler", "autoscaling:DescribeLaunchConfigurations"): "the action knows no resources",
    ("cluster-autoscaler", "autoscaling:DescribeScalingActivities"): "the action knows no resources",
    ("cluster-autoscaler", "autoscaling:DescribeTags"): "the action knows no resources",
    ("cluster-autoscaler", "ec2:DescribeImages"): "the action knows no resources",
    ("cluster-autoscaler", "ec2:DescribeInstanceTypes"): "the action knows no resources",
    ("cluster-autoscaler", "ec2:DescribeLaunchTemplateVersions"): "the action knows no resources",
    ("cluster-autoscaler", "ec2:GetInstanceTypesFromInstanceRequirements"): "the action knows no resources",
    ("cluster-autoscaler", "autoscaling:SetDesiredCapacity"): "EKS names the groups; a tag of the cluster's is asked",
    ("cluster-autoscaler", "autoscaling:TerminateInstanceInAutoScalingGroup"): "as SetDesiredCapacity",
}
MANAGED = {
    # AWS's own policies, for AWS's own parts alone.
    "cluster": {"AmazonEKSClusterPolicy"},
    "node": {"AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonSSMManagedInstanceCore"},
    "vpc-cni": {"AmazonEKS_CNI_Policy"},
    "aws-ebs-csi-driver": {"AmazonEBSCSIDriverPolicy"},
}
PODS = {
    # role: namespace, service accounts
    "spark": ("logsluice-spark", ["spark-driver", "spark-executor"]),
    "elasticsearch": ("logsluice", ["elasticsearch"]),
    "cluster-autoscaler": ("kube-system", ["cluster-autoscaler"]),
    "vpc-cni": ("kube-system", ["aws-node"]),
    "aws-ebs-csi-driver": ("kube-system", ["ebs-csi-controller-sa"]),
}


def _statements(graph: Graph) -> Iterator[tuple[str, dict[str, Any]]]:
    for node in graph.of("rolePolicy:RolePolicy"):
        for statement in json.loads(node.inputs["policy"])["Statement"]:
            yield node.inputs["role"].removesuffix("-id"), statement


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_no_action_is_a_wildcard(aws_stack: Graph) -> None:
    for role, statement in _statements(aws_stack):
        assert "NotAction" not in statement
        assert not [action for action in _list(statement["Action"]) if "*" in action], role


def test_an_action_on_everything_is_one_that_aws_forces(aws_stack: Graph) -> None:
    seen = {
        (role, action)
        for role, statement in _statements(aws_stack)
        if "*" in _list(statement["Resource"])
        for action in _list(statement["Action"])
    }
    assert seen == set(FORCED)


def test_what_changes_nodes_asks_for_the_clusters_tag(aws_stack: Graph) -> None:
    changing = [
        statement
        for role, statement in _statements(aws_stack)
        if role == "cluster-autoscaler" and "autoscaling:SetDesiredCapacity" in statement["Action"]
    ]
    name = aws_stack.outputs["cluster_name"]
    assert [statement["Condition"] for statement in changing] == [
        {"StringEquals": {f"aws:ResourceTag/k8s.io/cluster-autoscaler/{name}": "owned"}}
    ]


@pytest.mark.parametrize(
    ("role", "prefixes"),
    [("spark", {"checkpoints", "spark-events", "windows"}), ("elasticsearch", {"elasticsearch-snapshots"})],
)
def test_a_workload_reaches_its_own_part_of_the_bucket_alone(aws_stack: Graph, role: str, prefixes: set[str]) -> None:
    bucket = f"arn:aws:s3:::{aws_stack.outputs['bucket']}"
    for name, statement in _statements(aws_stack):
        if name != role:
            continue
        actions = set(_list(statement["Action"]))
        below = {f"{bucket}/{prefix}/*" for prefix in prefixes}
        if actions & {"s3:PutObject", "s3:DeleteObject"}:
            assert set(statement["Resource"]) == below
        elif "s3:GetObject" in actions:
            # A folder is looked for by its bare name; there is no such object.
            assert set(statement["Resource"]) == below | {f"{bucket}/{prefix}" for prefix in prefixes}
        elif "s3:ListBucket" in actions:
            patterns = statement["Condition"]["StringLike"]["s3:prefix"]
            assert set(patterns) == prefixes | {f"{prefix}/*" for prefix in prefixes}
        elif any(action.startswith("kms:") for action in actions):
            assert statement["Resource"] == [f"arn:aws:kms:{REGION}:{ACCOUNT}:Key/data-key"]
        else:
            assert statement["Resource"] == [bucket]


@pytest.mark.parametrize("folder", ["checkpoints", "spark-events", "windows"])
def test_spark_is_told_of_a_missing_folder_that_it_is_missing(aws_stack: Graph, folder: str) -> None:
    """S3 says 404 to who may read a key and list it by its name, else 403; hadoop-aws asks for the bare name too."""
    bucket = f"arn:aws:s3:::{aws_stack.outputs['bucket']}"
    spark = [statement for role, statement in _statements(aws_stack) if role == "spark"]
    for key in (folder, f"{folder}/", f"{folder}/a/b"):
        assert allows(spark, "s3:GetObject", f"{bucket}/{key}")
        assert allows(spark, "s3:ListBucket", bucket, {"s3:prefix": key})
    assert not allows(spark, "s3:PutObject", f"{bucket}/{folder}")
    for beside in (f"{folder}-of-others", "elasticsearch-snapshots", ""):
        assert not allows(spark, "s3:GetObject", f"{bucket}/{beside}")
        assert not allows(spark, "s3:ListBucket", bucket, {"s3:prefix": beside})
    assert not allows(spark, "s3:ListBucket", bucket)


def test_only_its_service_accounts_take_a_pods_role(aws_stack: Graph) -> None:
    roles = {node.name: json.loads(node.inputs["assumeRolePolicy"])["Statement"] for node in aws_stack.of("role:Role")}
    for name, (namespace, accounts) in PODS.items():
        (statement,) = roles[name]
        assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
        assert statement["Condition"]["StringEquals"] == {
            "aws:RequestTag/kubernetes-namespace": namespace,
            "aws:RequestTag/kubernetes-service-account": accounts,
        }
    services = {name: statement[0]["Principal"]["Service"] for name, statement in roles.items() if name not in PODS}
    assert services == {
        "cluster": "eks.amazonaws.com",
        "node": "ec2.amazonaws.com",
        "flow-logs": "vpc-flow-logs.amazonaws.com",
    }


def test_nobody_outside_the_account_takes_a_role(aws_stack: Graph) -> None:
    for node in aws_stack.of("role:Role"):
        for statement in json.loads(node.inputs["assumeRolePolicy"])["Statement"]:
            assert set(statement["Principal"]) == {"Service"}, node


def test_aws_own_policies_are_for_aws_own_parts(aws_stack: Graph) -> None:
    attached: dict[str, set[str]] = {}
    for node in aws_stack.of("rolePolicyAttachment:RolePolicyAttachment"):
        role = next(r.name for r in aws_stack.of("role:Role") if r.inputs["name"] == node.inputs["role"])
        attached.setdefault(role, set()).add(node.inputs["policyArn"].rsplit("/", 1)[1])
    assert attached == MANAGED


def test_every_association_is_of_a_pods_role_and_waits_for_the_agent(aws_stack: Graph) -> None:
    agent = aws_stack.one("eks/addon:Addon", "eks-pod-identity-agent").urn
    name = aws_stack.outputs["cluster_name"]
    associations = aws_stack.of("podIdentityAssociation:PodIdentityAssociation")
    found = set()
    for node in associations:
        assert agent in aws_stack.before(node)
        assert node.inputs["clusterName"] == name
        role = node.inputs["roleArn"].rsplit("/", 1)[1].removeprefix(f"{name}-")
        found.add((role, node.inputs["namespace"], node.inputs["serviceAccount"]))
        policy = [p.urn for p in aws_stack.of("rolePolicy:RolePolicy") if p.name == role]
        assert set(policy) <= aws_stack.before(node), "the permissions are there before a pod takes them"
    assert found == {
        (role, namespace, account)
        for role, (namespace, accounts) in PODS.items()
        if role in ("spark", "elasticsearch", "cluster-autoscaler")
        for account in accounts
    }


def test_nothing_is_open_to_the_world(aws_stack: Graph) -> None:
    """No rule lets anything in but the endpoints', and the API server is not the world's."""
    for node in aws_stack.of("securityGroup:SecurityGroup"):
        assert not node.inputs.get("ingress"), node
    for node in aws_stack.of("securityGroupIngressRule:SecurityGroupIngressRule"):
        assert node.inputs["cidrIpv4"] == aws_stack.one("ec2/vpc:Vpc").inputs["cidrBlock"]
    assert not aws_stack.of("securityGroupRule:SecurityGroupRule")
    vpc = aws_stack.one("eks/cluster:Cluster").inputs["vpcConfig"]
    assert vpc["endpointPrivateAccess"] is True
    if vpc["endpointPublicAccess"]:
        assert vpc["publicAccessCidrs"]
        assert not {"0.0.0.0/0", "::/0"} & set(vpc["publicAccessCidrs"])


def test_nodes_are_in_private_subnets(aws_stack: Graph) -> None:
    for node in aws_stack.of("nodeGroup:NodeGroup"):
        assert all(subnet.startswith("private-") for subnet in node.inputs["subnetIds"]), node
        assert "remoteAccess" not in node.inputs


def test_pods_cannot_take_a_nodes_role(aws_stack: Graph) -> None:
    for node in aws_stack.of("launchTemplate:LaunchTemplate"):
        assert node.inputs["metadataOptions"] == {
            "httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1
        }  # fmt: skip
        assert "networkInterfaces" not in node.inputs
        assert "keyName" not in node.inputs


def test_every_store_is_encrypted(aws_stack: Graph) -> None:
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:Key/"
    assert aws_stack.one("eks/cluster:Cluster").inputs["encryptionConfig"] == {
        "provider": {"keyArn": f"{key}cluster-key"}, "resources": ["secrets"]
    }  # fmt: skip
    for node in aws_stack.of("logGroup:LogGroup"):
        assert node.inputs["kmsKeyId"] == f"{key}cluster-key", node
        assert node.inputs["retentionInDays"] > 0
    for node in aws_stack.of("launchTemplate:LaunchTemplate"):
        for device in node.inputs["blockDeviceMappings"]:
            assert device["ebs"]["encrypted"] == "true", node
            assert device["ebs"]["volumeType"] == "gp3"
    (rule,) = aws_stack.one("BucketServerSideEncryptionConfiguration").inputs["rules"]
    assert rule["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": f"{key}data-key"}
    (repository,) = aws_stack.one("ecr/repository:Repository").inputs["encryptionConfigurations"]
    assert repository == {"encryptionType": "KMS", "kmsKey": f"{key}data-key"}
    assert aws_stack.one("StorageClass").inputs["parameters"] == {"type": "gp3", "encrypted": "true"}


def test_keys_rotate_and_serve_only_the_stack(aws_stack: Graph) -> None:
    name = aws_stack.outputs["cluster_name"]
    for node in aws_stack.of("kms/key:Key"):
        assert node.inputs["enableKeyRotation"] is True
        assert 7 <= node.inputs["deletionWindowInDays"] <= 30
        for statement in json.loads(node.inputs["policy"])["Statement"]:
            principal = statement["Principal"]
            if principal == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}:
                continue
            assert principal == {"Service": f"logs.{REGION}.amazonaws.com"}
            groups = statement["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
            stack = name.removeprefix("logsluice-")
            prefix = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:"
            assert groups == [f"{prefix}/aws/eks/{name}/*", f"{prefix}/logsluice/{stack}/*"]
            for group in aws_stack.of("logGroup:LogGroup"):
                assert any(f"{prefix}{group.inputs['name']}".startswith(g.rstrip("*")) for g in groups), group


def test_the_bucket_is_closed_versioned_and_tls_only(aws_stack: Graph) -> None:
    block = aws_stack.one("BucketPublicAccessBlock").inputs
    for setting in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"):
        assert block[setting] is True
    assert aws_stack.one("BucketVersioning").inputs["versioningConfiguration"] == {"status": "Enabled"}
    assert aws_stack.one("BucketOwnershipControls").inputs["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    (statement,) = json.loads(aws_stack.one("BucketPolicy").inputs["policy"])["Statement"]
    bucket = f"arn:aws:s3:::{aws_stack.outputs['bucket']}"
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == [bucket, f"{bucket}/*"]
    for type_ in ("BucketPublicAccessBlock", "BucketVersioning", "BucketOwnershipControls", "BucketPolicy",
                  "BucketServerSideEncryptionConfiguration", "BucketLifecycleConfiguration"):  # fmt: skip
        assert aws_stack.one(f":{type_}").inputs["bucket"] == "bucket-id"


def test_nothing_piles_up_for_ever(aws_stack: Graph) -> None:
    rules = {rule["id"]: rule for rule in aws_stack.one("BucketLifecycleConfiguration").inputs["rules"]}
    assert all(rule["status"] == "Enabled" for rule in rules.values())
    assert rules["old-versions"]["noncurrentVersionExpiration"]["noncurrentDays"] >= 1
    assert rules["old-versions"]["abortIncompleteMultipartUpload"]["daysAfterInitiation"] >= 1
    assert rules["spark-events"]["filter"] == {"prefix": "spark-events/"}
    images = json.loads(aws_stack.one("LifecyclePolicy").inputs["policy"])["rules"]
    assert [rule["selection"]["tagStatus"] for rule in images] == ["untagged", "any"]


def test_images_are_scanned_and_cannot_be_changed(aws_stack: Graph) -> None:
    repository = aws_stack.one("ecr/repository:Repository").inputs
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}


def test_the_kubeconfig_holds_no_credential(aws_stack: Graph) -> None:
    config = json.loads(aws_stack.outputs["kubeconfig"])
    (user,) = config["users"]
    assert set(user["user"]) == {"exec"}
    assert user["user"]["exec"]["command"] == "aws"
    name = aws_stack.outputs["cluster_name"]
    assert user["user"]["exec"]["args"] == [
        "--region", REGION, "eks", "get-token", "--cluster-name", name, "--output", "json"
    ]  # fmt: skip


def test_namespaces_have_a_pod_security_level(any_stack: Graph) -> None:
    levels = {
        node.name: node.inputs["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        for node in any_stack.of("core/v1:Namespace")
    }
    assert levels.pop("logsluice") == "restricted"
    assert levels.pop("logsluice-spark") == "restricted"
    assert levels.pop("monitoring") == "privileged"
    assert set(levels.values()) == {"baseline"}
