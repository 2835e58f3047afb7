"""What holds for every resource of every stack."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest

from tests.infra.graph import ACCOUNT, DIGEST, ROOT, Graph, build, run, stack_file
from tests.infra.sent_objects import identity, of_charts, sent, twice

UNTAGGABLE = {
    # AWS keeps no tags of these.
    "aws:cloudwatch/logGroup:LogGroup": False,
    "aws:ec2/route:Route": True,
    "aws:ec2/routeTableAssociation:RouteTableAssociation": True,
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": True,
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": True,
    "aws:iam/rolePolicy:RolePolicy": True,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": True,
    "aws:kms/alias:Alias": True,
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": True,
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": True,
    "aws:s3/bucketPolicy:BucketPolicy": True,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": True,
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": True,
    "aws:s3/bucketVersioning:BucketVersioning": True,
}


def test_no_two_resources_have_one_urn(any_stack: Graph) -> None:
    urns = [node.urn for node in any_stack.nodes]
    assert sorted(urns) == sorted(set(urns))


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl renders the folder of the workloads")
def test_every_object_of_the_cluster_has_one_owner(any_stack: Graph) -> None:
    """The provider creates, and what is there already cannot be created: two resources of one object end `up`."""
    objects = list(sent(any_stack))
    assert {"Namespace", "CustomResourceDefinition", "Kafka", "Deployment"} <= {item["kind"] for item in objects}
    assert twice(objects) == []


@pytest.mark.tools
@pytest.mark.charts
@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl renders the folder of the workloads")
def test_no_chart_makes_what_another_or_the_stack_makes(any_stack: Graph) -> None:
    """Helm refuses a release of which an object is there already and not its own."""
    made = list(of_charts(any_stack))
    assert {"CustomResourceDefinition", "Deployment", "Elasticsearch", "Prometheus"} <= {item["kind"] for item in made}
    assert twice([*sent(any_stack), *made]) == []


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl renders the folder of the workloads")
def test_names_of_objects_are_given_and_not_made_up(any_stack: Graph) -> None:
    """A name that the provider or the server completes would be another one in another checkout of the state."""
    for item in sent(any_stack):
        assert item["metadata"].get("name"), identity(item)
        assert "generateName" not in item["metadata"], identity(item)


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl renders the folder of the workloads")
def test_every_namespace_that_objects_are_in_is_the_stacks_own(any_stack: Graph) -> None:
    objects = list(sent(any_stack))
    made = {item["metadata"]["name"] for item in objects if item["kind"] == "Namespace"}
    assert {item["metadata"].get("namespace", "logsluice") for item in objects} <= made | {"kube-system"}


def test_everything_is_part_of_a_component_or_of_the_stack(any_stack: Graph) -> None:
    components = {node.urn for node in any_stack.nodes if not node.custom}
    outside = {
        str(node)
        for node in any_stack.nodes
        if node.parent not in components and node.custom and not node.type.startswith("pulumi:providers:")
    }
    assert outside <= {"kubernetes:storage.k8s.io/v1:StorageClass gp3"}


def test_every_taggable_resource_says_whose_it_is(aws_stack: Graph) -> None:
    name = aws_stack.outputs["cluster_name"]
    for node in aws_stack.nodes:
        if node.type.startswith("aws:") and not UNTAGGABLE.get(node.type):
            tags = node.inputs["tags"]
            assert tags["project"] == "logsluice", node
            assert tags["stack"] == name.removeprefix("logsluice-"), node
            assert tags["managed-by"] == "pulumi", node
            assert tags["Name"].startswith(name), node


def test_names_are_those_of_the_stack_and_the_same_in_each_run(aws_stack: Graph) -> None:
    """An explicit name: Pulumi's own would have a random end, which another checkout of the state would not know."""
    nameless = {
        # Named by their Name tag alone, by an id that AWS gives, or not at all.
        *(kind for kind, bare in UNTAGGABLE.items() if bare),
        *("aws:ec2/" + what for what in (
            "vpc:Vpc", "subnet:Subnet", "internetGateway:InternetGateway", "routeTable:RouteTable", "eip:Eip",
            "natGateway:NatGateway", "vpcEndpoint:VpcEndpoint", "flowLog:FlowLog",
            "defaultSecurityGroup:DefaultSecurityGroup")),
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        "aws:kms/key:Key",
        "aws:eks/accessEntry:AccessEntry",
        "aws:eks/podIdentityAssociation:PodIdentityAssociation",
    }  # fmt: skip
    key = {
        "aws:s3/bucket:Bucket": "bucket",
        "aws:eks/addon:Addon": "addonName",
        "aws:eks/nodeGroup:NodeGroup": "nodeGroupName",
    }
    for node in aws_stack.nodes:
        if node.type.startswith("aws:") and node.type not in nameless:
            assert node.inputs[key.get(node.type, "name")], node


def test_aws_takes_the_names(aws_stack: Graph) -> None:
    limits = {
        "aws:eks/cluster:Cluster": ("name", r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}"),
        "aws:eks/nodeGroup:NodeGroup": ("nodeGroupName", r"[0-9A-Za-z][A-Za-z0-9_-]{0,62}"),
        "aws:iam/role:Role": ("name", r"[\w+=,.@-]{1,64}"),
        "aws:s3/bucket:Bucket": ("bucket", r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
        "aws:ecr/repository:Repository": ("name", r"[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*"),
        "aws:ec2/launchTemplate:LaunchTemplate": ("name", r"[a-zA-Z0-9().\-/_]{3,128}"),
        "aws:cloudwatch/logGroup:LogGroup": ("name", r"[a-zA-Z0-9_\-/.#]{1,512}"),
        "aws:kms/alias:Alias": ("name", r"alias/[a-zA-Z0-9/_-]{1,250}"),
    }
    for type_, (key, pattern) in limits.items():
        for node in aws_stack.of(type_):
            assert re.fullmatch(pattern, node.inputs[key]), node


def test_the_longest_stack_name_fits() -> None:
    """Names are put together out of the stack's: the longest that settings allow must fit AWS's limits."""
    config = stack_file("prod")
    graph = run("a2345678901234567890", config)
    test_aws_takes_the_names(graph)


def test_no_command_runs_behind_the_engine(any_stack: Graph) -> None:
    packages = {node.type.split(":")[0] for node in any_stack.nodes}
    assert packages <= {"aws", "kubernetes", "logsluice", "pulumi"}
    dynamic = [node for node in any_stack.nodes if "dynamic" in node.type]
    assert not dynamic


def test_two_runs_register_the_same(dev: Graph) -> None:
    """No time, no random value, no order that varies: else each preview would show a change."""
    again = build("dev", image=DIGEST)
    assert {n.urn: n.inputs for n in again.nodes} == {n.urn: n.inputs for n in dev.nodes}
    assert {n.urn: n.depends_on for n in again.nodes} == {n.urn: n.depends_on for n in dev.nodes}
    assert again.outputs == dev.outputs


def test_the_state_holds_no_path_of_this_machine(any_stack: Graph) -> None:
    for node in any_stack.nodes:
        assert str(ROOT) not in str(node.inputs), node


def test_outputs(aws_stack: Graph) -> None:
    outputs = aws_stack.outputs
    name = outputs["cluster_name"]
    assert outputs["vpc_id"] == "vpc-id"
    assert outputs["cluster_endpoint"].startswith("https://")
    assert outputs["bucket"] == f"{name}-{ACCOUNT}-eu-central-1"
    assert outputs["image_repository"] == f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/{name}"
    assert "port-forward" in outputs["kibana"]["forward"]
    assert "port-forward" in outputs["grafana"]["forward"]
    assert aws_stack.secret_outputs == {"kubeconfig"}


def test_a_stack_with_no_aws_loads_nothing_of_it() -> None:
    """It runs where the SDK of AWS, and with it the engine's plugin of 700 MB, is not installed."""
    program = (
        "import sys; sys.modules['pulumi_aws'] = None; from tests.infra.graph import build; "
        "print(len(build('local', image='logsluice:0.1.0').nodes))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


def test_outputs_of_a_cluster_that_is_there(local: Graph) -> None:
    assert set(local.outputs) == {"image", "kibana", "grafana", "next_step"}
    assert not [node for node in local.nodes if node.type.startswith("aws:")]
