"""What differs between stacks, read from `Pulumi.<stack>.yaml` and checked before anything is planned.

The checks hold what AWS itself would refuse (its limits are cited where they are checked), so that a mistake costs a
line on the screen and not half an hour of `pulumi up`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import date
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal

import pulumi
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

ROOT = Path(__file__).resolve().parents[2]
"""The repository: Pulumi.yaml, helm/ and k8s/ are here."""
PROGRAM = ROOT / "infra"
"""The directory that the engine and its providers run in; paths given to a provider are relative to it, so that the
same stack has the same state whoever's machine runs it."""

_DOCUMENTATION = tuple(map(IPv4Network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")))  # RFC 5737
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))  # RFC 1918
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_INSTANCE_TYPE = re.compile(r"[a-z][a-z0-9-]*\.(nano|micro|small|medium|large|(\d+)?xlarge|metal(-\d+xl)?)")
_ADDON_VERSION = re.compile(r"v\d+\.\d+\.\d+-eksbuild\.\d+")
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(role|user)/[\w+=,.@/-]+")
_POLICY_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:policy/[\w+=,.@/-]+")
_ECR_DIGEST = re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[a-z0-9._/-]+@sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")


def _network(text: str) -> str:
    try:
        IPv4Network(text)
    except ValueError as error:
        raise ValueError(f"not a network in CIDR notation: {error}") from None
    return text


def _matching(pattern: re.Pattern[str], expected: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"{text!r} is not {expected}")
        return text

    return AfterValidator(check)


Cidr = Annotated[str, AfterValidator(_network)]
InstanceType = Annotated[str, _matching(_INSTANCE_TYPE, "the name of an instance type, as m6i.large")]
AddonVersion = Annotated[str, _matching(_ADDON_VERSION, "a version of an EKS add-on, as v1.2.3-eksbuild.1")]
PolicyArn = Annotated[str, _matching(_POLICY_ARN, "the ARN of an IAM policy")]
Principal = Annotated[str, _matching(_ROLE_ARN, "the ARN of an IAM role or user")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=False)


class NetworkSettings(_Part):
    """The VPC. Eight equal parts of it: one private subnet a zone, the last part for the public ones."""

    cidr: Cidr
    zones: int = Field(ge=2, le=4, description="EKS wants subnets in at least two zones")
    nat: Literal["single", "per-zone"]
    interface_endpoints: tuple[str, ...] = ()
    flow_logs: Literal["ALL", "REJECT", "ACCEPT"]
    flow_log_days: int

    @field_validator("cidr")
    @classmethod
    def _vpc(cls, cidr: str) -> str:
        network = IPv4Network(cidr)
        # AWS takes /16 to /28; the public subnets are 1/256 of it, and a load balancer wants /27 or more of each.
        if not 16 <= network.prefixlen <= 19:
            raise ValueError(f"a VPC of /{network.prefixlen} does not do: /16 to /19 leaves room for all subnets")
        if not any(network.subnet_of(private) for private in _PRIVATE):
            raise ValueError(f"{cidr} is not in a private range (RFC 1918)")
        return cidr

    @field_validator("flow_log_days")
    @classmethod
    def _retention(cls, days: int) -> int:
        return log_retention(days)

    @property
    def private_subnets(self) -> tuple[str, ...]:
        """One private network a zone, in the zones' order."""
        parts = list(IPv4Network(self.cidr).subnets(prefixlen_diff=3))
        return tuple(map(str, parts[: self.zones]))

    @property
    def public_subnets(self) -> tuple[str, ...]:
        """One small public network a zone, out of the last eighth of the VPC."""
        last = list(IPv4Network(self.cidr).subnets(prefixlen_diff=3))[-1]
        return tuple(map(str, list(last.subnets(prefixlen_diff=5))[: self.zones]))


class NodeGroupSettings(_Part):
    """One managed node group, or, with `perZone`, one of this size in each zone (volumes cannot leave their zone)."""

    instance_types: tuple[InstanceType, ...] = Field(min_length=1, max_length=20)
    capacity: Literal["ON_DEMAND", "SPOT"]
    min: int = Field(ge=0, le=450)
    desired: int = Field(ge=0, le=450)
    max: int = Field(ge=1, le=450)  # AWS: 450 nodes a managed node group
    disk_gib: int = Field(ge=20, le=16384)  # the AMI needs 20; gp3 ends at 16 TiB
    per_zone: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> NodeGroupSettings:
        if not self.min <= self.desired <= self.max:
            raise ValueError(f"min <= desired <= max does not hold: {self.min}, {self.desired}, {self.max}")
        return self


class AddonSettings(_Part):
    """Versions of the add-ons that EKS installs."""

    vpc_cni: AddonVersion
    kube_proxy: AddonVersion
    coredns: AddonVersion
    ebs_csi_driver: AddonVersion
    pod_identity_agent: AddonVersion
    metrics_server: AddonVersion


class NodeGroups(_Part):
    """The node groups by what runs on them."""

    system: NodeGroupSettings
    data: NodeGroupSettings
    spark: NodeGroupSettings

    @model_validator(mode="after")
    def _roles(self) -> NodeGroups:
        if self.system.min < 1:
            raise ValueError("system.min must be at least 1: CoreDNS and the operators run there")
        if self.data.capacity != "ON_DEMAND":
            raise ValueError("data.capacity must be ON_DEMAND: Kafka and Elasticsearch keep their state there")
        if self.spark.min != 0:
            raise ValueError("spark.min must be 0: the autoscaler starts these nodes when a job needs them")
        return self


class ClusterSettings(_Part):
    """The EKS cluster."""

    version: str
    service_cidr: Cidr
    public_access_cidrs: tuple[Cidr, ...]
    admins: tuple[Principal, ...] = ()
    viewers: tuple[Principal, ...] = ()
    log_days: int
    addons: AddonSettings
    node_groups: NodeGroups

    @field_validator("version")
    @classmethod
    def _supported(cls, version: str, info: ValidationInfo) -> str:
        supported: list[str] = info.context or []
        if version not in supported:
            listed = f"{', '.join(supported)}: eksVersions in Pulumi.yaml"
            raise ValueError(f"{version!r} is not a version of EKS in standard support ({listed})")
        return version

    @field_validator("log_days")
    @classmethod
    def _retention(cls, days: int) -> int:
        return log_retention(days)

    @field_validator("service_cidr")
    @classmethod
    def _services(cls, cidr: str) -> str:
        network = IPv4Network(cidr)
        # EKS: within RFC 1918, between /24 and /12.
        if not 12 <= network.prefixlen <= 24 or not any(network.subnet_of(private) for private in _PRIVATE):
            raise ValueError(f"{cidr} does not do for services: EKS takes /12 to /24 in a private range")
        return cidr

    @field_validator("public_access_cidrs")
    @classmethod
    def _not_the_world(cls, cidrs: tuple[str, ...]) -> tuple[str, ...]:
        for cidr in cidrs:
            network = IPv4Network(cidr)
            if network.prefixlen < 16:
                raise ValueError(f"{cidr} is too wide for the API server: /16 is the widest, one address is best")
            if any(network.subnet_of(private) for private in _PRIVATE):
                raise ValueError(f"{cidr} is private: AWS takes public addresses here")
        return cidrs

    @model_validator(mode="after")
    def _once(self) -> ClusterSettings:
        # EKS has one access entry a principal, and answers 409 to a second.
        if twice := [principal for principal, times in Counter([*self.admins, *self.viewers]).items() if times > 1]:
            raise ValueError(f"{', '.join(twice)} is named twice in admins and viewers")
        return self

    @model_validator(mode="after")
    def _compatible_addons(self) -> ClusterSettings:
        proxy = self.addons.kube_proxy.removeprefix("v").rsplit(".", 2)[0].split("-")[0]
        if ".".join(proxy.split(".")[:2]) != self.version:
            raise ValueError(f"addons.kubeProxy {self.addons.kube_proxy} is not for Kubernetes {self.version}")
        return self

    @property
    def unreachable_cidrs(self) -> tuple[str, ...]:
        """Ranges that nobody has (RFC 5737): they stand in the examples until they are replaced."""
        cidrs = self.public_access_cidrs
        return tuple(cidr for cidr in cidrs if any(IPv4Network(cidr).subnet_of(nobodys) for nobodys in _DOCUMENTATION))


class StorageSettings(_Part):
    """Bucket, image repository and the volumes' class."""

    old_versions_days: int = Field(ge=1, description="days that overwritten and deleted objects are kept")
    spark_events_days: int = Field(ge=1)
    images_kept: int = Field(ge=1, le=1000)
    force_destroy: bool
    key_deletion_days: int = Field(ge=7, le=30)  # KMS's own limits
    volume_reclaim: Literal["Delete", "Retain"]


class AwsSettings(_Part):
    """All of a stack that is on AWS."""

    permissions_boundary: PolicyArn | None = None
    region: Annotated[str, _matching(_REGION, "the name of an AWS region")]
    network: NetworkSettings
    cluster: ClusterSettings
    storage: StorageSettings

    @model_validator(mode="after")
    def _apart(self) -> AwsSettings:
        if IPv4Network(self.network.cidr).overlaps(IPv4Network(self.cluster.service_cidr)):
            raise ValueError(f"cluster.serviceCidr {self.cluster.service_cidr} overlaps network.cidr")
        return self


class ClusterAccess(_Part):
    """A cluster that is already there."""

    kubeconfig: Path | None = None
    context: str | None = None

    @field_validator("kubeconfig")
    @classmethod
    def _there(cls, path: Path | None) -> Path | None:
        if path is None:
            return None
        path = path.expanduser() if path.is_absolute() or str(path).startswith("~") else ROOT / path
        if not path.is_file():
            raise ValueError(f"there is no file {path}")
        return path


class Settings(_Part):
    """A stack's settings. Exactly one of `aws` and `existing` is set."""

    stack: str
    protect: bool
    retain_data: bool = False
    eks_versions: dict[str, date] = Field(
        default_factory=dict, description="and when the standard support of each ends"
    )
    image: str | None = None
    charts: Path | None = None
    ignore_webhooks: bool = False
    adopt: bool = Field(default=False, description="take what is there already instead of refusing to create it")
    release_values: dict[str, dict[str, Any]] = Field(default_factory=dict)
    release_timeout_seconds: int = Field(default=900, ge=60, le=7200)
    aws: AwsSettings | None = None
    existing: ClusterAccess | None = None

    @field_validator("stack")
    @classmethod
    def _short(cls, stack: str) -> str:
        # EKS names: 100 characters, letters and digits and hyphens; node groups 63; IAM roles 64; buckets 63. The
        # longest name made here puts 40 characters around the stack's.
        if not _NAME.fullmatch(stack) or len(stack) > 20:
            raise ValueError(f"{stack!r} does not do as a stack's name: up to 20 of a-z, 0-9 and -")
        return stack

    @field_validator("charts")
    @classmethod
    def _charts(cls, path: Path | None) -> Path | None:
        if path is None:
            return None
        path = path if path.is_absolute() else ROOT / path
        if not path.is_dir():
            raise ValueError(f"there is no directory {path}")
        return path

    @model_validator(mode="after")
    def _one_place(self) -> Settings:
        if (self.aws is None) == (self.existing is None):
            raise ValueError(
                "existing: exactly one of network/cluster/storage (on AWS) and existing (a cluster) must be set"
            )
        if self.aws and self.image and not _ECR_DIGEST.fullmatch(self.image):
            raise ValueError(
                f"image: {self.image!r} is not a digest in ECR, as "
                "123456789012.dkr.ecr.eu-central-1.amazonaws.com/logsluice-dev@sha256:<64 digits>"
            )
        return self

    @property
    def support_ends(self) -> date | None:
        """The last day of the standard support of the cluster's version; None where the stack makes no cluster."""
        return self.eks_versions[self.aws.cluster.version] if self.aws else None

    @property
    def name(self) -> str:
        """What everything of this stack is called in AWS."""
        return f"logsluice-{self.stack}"


def log_retention(days: int) -> int:
    """CloudWatch Logs keeps for these numbers of days only (PutRetentionPolicy)."""
    if days not in (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288):
        raise ValueError(f"CloudWatch Logs does not keep for {days} days: 7, 14, 30, 90, 365 are some that it does")
    return days


_AWS_PARTS = ("network", "cluster", "storage", "permissionsBoundary")
_SCALARS = ("image", "charts", "permissionsBoundary")


def parse(stack: str, region: str | None, values: Mapping[str, str]) -> Settings:
    """The settings out of what the stack's file says.

    Args:
        stack: the stack's name.
        region: `aws:region`, None where the stack has none.
        values: this project's keys without its name, each value as the engine gives it: text, or JSON.

    Raises:
        ValueError: with every mistake in one line: where it is, and why it does not do.
    """
    tree: dict[str, Any] = {"stack": stack}
    for key, text in values.items():
        tree[key] = _decoded(key, text)
    if parts := {part: tree.pop(part) for part in _AWS_PARTS if part in tree}:
        tree["aws"] = {"region": region or "", **parts}
    versions = tree.get("eksVersions")
    try:
        return Settings.model_validate(tree, context=list(versions) if isinstance(versions, dict) else [])
    except ValidationError as error:
        raise ValueError("; ".join(map(_sentence, error.errors()))) from None


def _decoded(key: str, text: str) -> Any:
    if key in _SCALARS:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _sentence(error: Any) -> str:
    place = [str(part) for part in error["loc"] if part != "aws"]
    location = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in place).lstrip(".")
    reason = error["msg"].removeprefix("Value error, ")
    match error["type"]:
        case "missing":
            reason = "is missing"
        case "extra_forbidden":
            reason = "is not a setting"
    if location == "region":
        return f"aws:region: {reason}"
    if not location:
        return f"logsluice:{reason}"
    return (
        f"logsluice:{location} {reason}"
        if error["type"] in ("missing", "extra_forbidden")
        else f"logsluice:{location}: {reason}"
    )


def load() -> Settings:
    """This stack's settings.

    Raises:
        pulumi.RunError: which the engine prints as one line, without a stack trace.
    """
    project = pulumi.get_project()
    prefix = f"{project}:"
    every = {**pulumi.runtime.config.get_config_env(), **pulumi.runtime.config.CONFIG.get()}
    values = {key.removeprefix(prefix): value for key, value in every.items() if key.startswith(prefix)}
    try:
        return parse(pulumi.get_stack(), pulumi.Config("aws").get("region"), values)
    except ValueError as error:
        raise pulumi.RunError(f"Pulumi.{pulumi.get_stack()}.yaml: {error}") from None
