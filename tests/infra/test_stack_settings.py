"""A mistake in a stack's file costs one line that says where and why, before anything is planned."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
import yaml

from logsluice_infra.settings import log_retention, parse
from tests.infra.graph import DIGEST, INFRA, ROOT, Graph, build, run, stack_file

ROLE = "arn:aws:iam::123456789012:role/operators"
MISTAKES = [
    # where, its new value (... takes it away), what is said
    ("network.cidr", "10.20.0.0/33", "logsluice:network.cidr: not a network in CIDR notation: '33' is not a valid"),
    ("network.cidr", "10.20.0.1/16", "logsluice:network.cidr: not a network in CIDR notation: 10.20.0.1/16 has host"),
    ("network.cidr", "10.0.0.0/8", "logsluice:network.cidr: a VPC of /8 does not do: /16 to /19"),
    ("network.cidr", "10.20.0.0/24", "logsluice:network.cidr: a VPC of /24 does not do: /16 to /19"),
    ("network.cidr", "8.8.0.0/16", "logsluice:network.cidr: 8.8.0.0/16 is not in a private range (RFC 1918)"),
    ("network.cidr", ..., "logsluice:network.cidr is missing"),
    ("network.zones", 1, "logsluice:network.zones: Input should be greater than or equal to 2"),
    ("network.zones", 5, "logsluice:network.zones: Input should be less than or equal to 4"),
    ("network.zones", "two", "logsluice:network.zones: Input should be a valid integer"),
    ("network.nat", "none", "logsluice:network.nat: Input should be 'single' or 'per-zone'"),
    ("network.flowLogs", "SOME", "logsluice:network.flowLogs: Input should be 'ALL', 'REJECT' or 'ACCEPT'"),
    ("network.flowLogDays", 8, "logsluice:network.flowLogDays: CloudWatch Logs does not keep for 8 days"),
    ("network.nats", 2, "logsluice:network.nats is not a setting"),
    ("cluster.version", "1.21", "logsluice:cluster.version: '1.21' is not a version of EKS in standard support"),
    ("cluster.version", "latest", "logsluice:cluster.version: 'latest' is not a version of EKS in standard support"),
    ("eksVersions", ..., "logsluice:cluster.version: '1.36' is not a version of EKS in standard support"),
    ("eksVersions", {"1.36": "soon"}, "logsluice:eksVersions.1.36: Input should be a valid date"),
    ("cluster.serviceCidr", "172.20.0.0/8", "logsluice:cluster.serviceCidr: not a network in CIDR notation"),
    ("cluster.serviceCidr", "10.96.0.0/30", "logsluice:cluster.serviceCidr: 10.96.0.0/30 does not do for services"),
    ("cluster.serviceCidr", "10.20.128.0/20", "logsluice:cluster.serviceCidr 10.20.128.0/20 overlaps network.cidr"),
    ("cluster.publicAccessCidrs", ["0.0.0.0/0"], "logsluice:cluster.publicAccessCidrs: 0.0.0.0/0 is too wide"),
    ("cluster.publicAccessCidrs", ["10.1.0.0/24"], "logsluice:cluster.publicAccessCidrs: 10.1.0.0/24 is private"),
    ("cluster.publicAccessCidrs", ["my office"], "logsluice:cluster.publicAccessCidrs[0]: not a network in CIDR"),
    ("cluster.admins", ["me"], "logsluice:cluster.admins[0]: 'me' is not the ARN of an IAM role or user"),
    ("cluster.admins", [ROLE, ROLE], f"logsluice:cluster: {ROLE} is named twice in admins and viewers"),
    ("cluster.addons.vpcCni", "1.22", "logsluice:cluster.addons.vpcCni: '1.22' is not a version of an EKS add-on"),
    ("cluster.addons.coredns", ..., "logsluice:cluster.addons.coredns is missing"),
    ("cluster.addons.kubeProxy", "v1.35.0-eksbuild.2", "addons.kubeProxy v1.35.0-eksbuild.2 is not for Kubernetes"),
    ("cluster.nodeGroups.spark.instanceTypes", [], "logsluice:cluster.nodeGroups.spark.instanceTypes: "),
    ("cluster.nodeGroups.spark.instanceTypes", ["huge"], "instanceTypes[0]: 'huge' is not the name of an instance"),
    ("cluster.nodeGroups.spark.capacity", "CHEAP", "Input should be 'ON_DEMAND' or 'SPOT'"),
    ("cluster.nodeGroups.spark.max", -1, "logsluice:cluster.nodeGroups.spark.max: Input should be greater than"),
    ("cluster.nodeGroups.spark.max", 451, "logsluice:cluster.nodeGroups.spark.max: Input should be less than"),
    ("cluster.nodeGroups.spark.desired", 9, "min <= desired <= max does not hold: 0, 9, 4"),
    ("cluster.nodeGroups.spark.min", 1, "min <= desired <= max does not hold: 1, 0, 4"),
    ("cluster.nodeGroups.system.min", 0, "system.min must be at least 1"),
    ("cluster.nodeGroups.data.capacity", "SPOT", "data.capacity must be ON_DEMAND"),
    ("cluster.nodeGroups.data.diskGib", 1, "logsluice:cluster.nodeGroups.data.diskGib: Input should be greater"),
    ("storage.keyDeletionDays", 3, "logsluice:storage.keyDeletionDays: Input should be greater than or equal to 7"),
    ("storage.volumeReclaim", "Keep", "logsluice:storage.volumeReclaim: Input should be 'Delete' or 'Retain'"),
    ("image", "logsluice:latest", "logsluice:image: 'logsluice:latest' is not a digest in ECR"),
    ("image", DIGEST.split("@")[0] + ":v1", "is not a digest in ECR"),
    ("charts", "/no/such/folder", "logsluice:charts: there is no directory /no/such/folder"),
    ("protect", ..., "logsluice:protect is missing"),
    ("protect", "maybe", "logsluice:protect: Input should be a valid boolean"),
    ("releaseTimeoutSeconds", 5, "logsluice:releaseTimeoutSeconds: Input should be greater than or equal to 60"),
    ("retainDate", True, "logsluice:retainDate is not a setting"),
    ("network", ..., "logsluice:network is missing"),
    (
        "existing",
        {},
        "logsluice:existing: exactly one of network/cluster/storage (on AWS) and existing (a cluster) must be set",
    ),
]


def _changed(where: str, value: Any) -> dict[str, Any]:
    key, *path = where.split(".")
    if not path:
        return {key: None if value is ... else value}
    whole = stack_file("dev")[f"logsluice:{key}"]
    part = whole
    for step in path[:-1]:
        part = part[step]
    if value is ...:
        del part[path[-1]]
    else:
        part[path[-1]] = value
    return {key: whole}


@pytest.mark.parametrize(
    ("where", "value", "message"), MISTAKES, ids=[f"{where}={value}" for where, value, _ in MISTAKES]
)
def test_a_mistake_is_told_in_one_line(refused: Callable[..., str], where: str, value: Any, message: str) -> None:
    line = refused(**_changed(where, value))
    assert line.startswith("Pulumi.dev.yaml: ")
    assert message in line
    assert "::" not in line.replace("arn:aws:iam::", "")


def test_all_mistakes_are_told_at_once(refused: Callable[..., str]) -> None:
    line = refused(**_changed("network.zones", 1), **_changed("storage.imagesKept", 0))
    assert "network.zones" in line
    assert "storage.imagesKept" in line


def test_a_region_is_needed_and_must_be_one() -> None:
    values = dict.fromkeys(("network", "cluster", "storage"), "{}")
    for region in (None, "Frankfurt"):
        with pytest.raises(ValueError, match=r"aws:region: .* is not the name of an AWS region"):
            parse("dev", region, {**values, "protect": "false"})


@pytest.mark.parametrize("stack", ["Dev", "dev_1", "-dev", "a" * 21, "dev-"])
def test_a_stacks_name_must_do_for_aws(stack: str) -> None:
    with pytest.raises(ValueError, match="does not do as a stack's name"):
        parse(stack, None, {"protect": "false", "existing": "{}"})


def test_a_kubeconfig_must_be_there(refused: Callable[..., str]) -> None:
    assert "logsluice:existing.kubeconfig: there is no file" in refused("local", existing={"kubeconfig": "/no/such"})


@pytest.mark.parametrize(
    "mistake", [{"logsluice:network": {}}, {"logsluice:charts": "/no/such"}, {"logsluice:charts": str(INFRA)}]
)
def test_a_mistake_is_told_before_anything_is_planned(mistake: dict[str, Any]) -> None:
    graph = Graph()
    with pytest.raises(pulumi.RunError):
        run("dev", {**stack_file("dev"), **mistake}, graph=graph)
    assert graph.nodes == []


def test_a_region_with_too_few_zones_is_told(refused: Callable[..., str]) -> None:
    line = refused("prod", zones=2)
    assert line == "logsluice:network.zones: 3 zones are asked for, eu-central-1 has 2 that EKS can use"


def test_who_has_not_replaced_the_examples_address_is_warned() -> None:
    graph = build("dev")
    assert [line for line in graph.warnings if "203.0.113.0/24" in line]
    cluster = {**stack_file("dev")["logsluice:cluster"], "publicAccessCidrs": ["93.184.215.14/32"]}
    assert not [line for line in build("dev", cluster=cluster).warnings if "publicAccessCidrs" in line]


def test_an_upgrade_of_kubernetes_is_a_change_of_settings() -> None:
    cluster = stack_file("dev")["logsluice:cluster"]
    cluster = {**cluster, "version": "1.99", "addons": {**cluster["addons"], "kubeProxy": "v1.99.0-eksbuild.1"}}
    graph = build("dev", cluster=cluster, eksVersions={"1.99": "2999-01-01"})
    assert graph.one("eks/cluster:Cluster").inputs["version"] == "1.99"
    for path in INFRA.rglob("*.py"):
        assert not re.search(r"\b1\.3\d\b", path.read_text("utf-8")), path


def test_whose_version_aws_upgrades_by_itself_is_warned() -> None:
    ended = {**stack_file("dev")["logsluice:eksVersions"], "1.36": "2020-01-01"}
    (line,) = [line for line in build("dev", eksVersions=ended).warnings if "cluster.version" in line]
    assert "standard support of 1.36 ended on 2020-01-01" in line


@pytest.mark.parametrize("days", [1, 7, 30, 365])
def test_days_that_logs_are_kept(days: int) -> None:
    assert log_retention(days) == days


def test_a_new_environment_is_a_new_file() -> None:
    """docs/deploy.md: copy a stack's file; nothing in the program names dev or prod."""
    graph = run("staging", {**stack_file("prod"), "logsluice:protect": False})
    assert graph.outputs["cluster_name"] == "logsluice-staging"
    for path in (INFRA / "logsluice_infra").glob("*.py"):
        for line in path.read_text("utf-8").splitlines():
            assert '"prod"' not in line, path
            assert '"dev"' not in line or "overlays" in line, path


def test_pulumi_finds_program_settings_and_interpreter() -> None:
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text("utf-8"))
    assert project["name"] == "logsluice"
    assert (ROOT / project["main"] / "__main__.py").is_file()
    for stack in ("dev", "prod", "local"):
        assert (ROOT / project["stackConfigDir"] / f"Pulumi.{stack}.yaml").is_file()
    assert project["runtime"] == {"name": "python", "options": {"toolchain": "pip", "virtualenv": ".venv"}}
