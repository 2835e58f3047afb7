"""What a stack makes in AWS before anything runs in its cluster, and what the rest needs to know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import pulumi
import pulumi_kubernetes as kubernetes

from . import lookups, provider, volumes
from .cluster import Cluster, ClusterArgs
from .facts import Facts
from .identity import WorkloadIdentities, WorkloadIdentitiesArgs
from .keys import EncryptionKey, EncryptionKeyArgs
from .network import Network, NetworkArgs
from .settings import AwsSettings, Settings
from .storage import Storage, StorageArgs


@dataclass(frozen=True)
class Platform:
    """What is handed on to what runs in the cluster.

    Attributes:
        kube: the provider of the cluster.
        facts: what manifests and values are filled with.
        image_repository: where the workloads' image is pushed to.
        before: what must be there before a pod.
        values: values of releases that only AWS knows.
    """

    kube: kubernetes.Provider
    facts: Facts
    image_repository: pulumi.Output[str]
    before: list[pulumi.Resource]
    values: dict[str, dict[str, object]]


def platform(settings: Settings, aws: AwsSettings) -> Platform:
    """All of a stack that is in AWS, and its outputs."""
    name, stack = settings.name, settings.stack
    if aws.permissions_boundary:
        pulumi.runtime.register_stack_transformation(bounded(aws.permissions_boundary))
    found = lookups.read_lookups(aws.region, aws.network.zones, name, [*aws.cluster.admins, *aws.cluster.viewers])

    def key(data: str, purpose: str, log_groups: tuple[str, ...] = (), retain: bool = False) -> EncryptionKey:
        return EncryptionKey(
            f"{data}-key",
            EncryptionKeyArgs(
                stack=stack,
                name=f"{name}-{data}",
                purpose=f"{purpose} of {name}",
                account=found.account,
                partition=found.partition,
                region=aws.region,
                deletion_days=aws.storage.key_deletion_days,
                log_groups=log_groups,
                protect=settings.protect,
                retain=retain,
            ),
        )

    cluster_key = key("cluster", "Kubernetes secrets and logs", (f"/aws/eks/{name}/*", f"/logsluice/{stack}/*"))
    data_key = key("data", "Bucket and images", retain=settings.retain_data)
    network = Network(
        "network",
        NetworkArgs(
            stack=stack,
            name=name,
            region=aws.region,
            zones=found.zones,
            settings=aws.network,
            log_key_arn=cluster_key.arn,
            protect=settings.protect,
        ),
    )
    cluster = Cluster(
        "cluster",
        ClusterArgs(
            stack=stack,
            name=name,
            partition=found.partition,
            zones=found.zones,
            subnet_ids=network.private_subnet_ids,
            settings=aws.cluster,
            key_arn=cluster_key.arn,
            protect=settings.protect,
            routes=network.routes,
        ),
    )
    bucket = f"{name}-{found.account}-{aws.region}"
    storage = Storage(
        "storage",
        StorageArgs(
            stack=stack,
            name=name,
            bucket_name=bucket,
            settings=aws.storage,
            key_arn=data_key.arn,
            protect=settings.protect,
            retain=settings.retain_data,
        ),
    )
    identities = WorkloadIdentities(
        "identities",
        WorkloadIdentitiesArgs(
            stack=stack,
            name=name,
            cluster_name=cluster.cluster_name,
            agent=cluster.agent,
            node_groups_arn=f"arn:{found.partition}:eks:{aws.region}:{found.account}:nodegroup/{name}/*",
            bucket_arn=storage.bucket_arn,
            key_arn=data_key.arn,
        ),
    )
    kubeconfig = provider.kubeconfig(name, aws.region, cluster.endpoint, cluster.certificate_authority)
    kube = provider.from_kubeconfig(name, kubeconfig, adopt=settings.adopt, depends_on=[cluster])
    volumes_class = volumes.storage_class(
        aws.storage.volume_reclaim, pulumi.ResourceOptions(provider=kube, depends_on=[cluster])
    )
    autoscaler: dict[str, object] = {"autoDiscovery": {"clusterName": name}, "awsRegion": aws.region}
    if (ends := settings.support_ends) and ends <= date.today():
        pulumi.log.warn(
            f"logsluice:cluster.version: EKS's standard support of {aws.cluster.version} ended on {ends}: AWS upgrades "
            "the cluster by itself; choose a later one of eksVersions (docs/deploy.md, Upgrade)"
        )
    if unreachable := aws.cluster.unreachable_cidrs:
        pulumi.log.warn(
            f"logsluice:cluster.publicAccessCidrs: nobody has an address in {', '.join(unreachable)} (RFC 5737): "
            "put your own there, or the Kubernetes part of this stack cannot be reached from here"
        )
    pulumi.export("vpc_id", network.vpc_id)
    pulumi.export("cluster_endpoint", cluster.endpoint)
    pulumi.export("cluster_name", cluster.cluster_name)
    pulumi.export("kubeconfig", kubeconfig)
    pulumi.export("bucket", storage.bucket_name)
    pulumi.export("image_repository", storage.repository_url)
    return Platform(
        kube=kube,
        facts=Facts(image=settings.image, bucket=bucket, region=aws.region),
        image_repository=storage.repository_url,
        before=[cluster, volumes_class, identities, storage],
        values={"cluster-autoscaler": autoscaler},
    )


def bounded(boundary: str) -> Callable[[pulumi.ResourceTransformationArgs], pulumi.ResourceTransformationResult | None]:
    """What puts a permissions boundary on every role: whoever may make roles only with it makes no administrator."""

    def apply(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if args.type_ != "aws:iam/role:Role":
            return None
        return pulumi.ResourceTransformationResult({**args.props, "permissions_boundary": boundary}, args.opts)

    return apply
