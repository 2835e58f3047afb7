"""The stack: its settings read, its parts made and joined, its outputs. Run by `pulumi up` at the repository's root."""

from __future__ import annotations

from datetime import date

import pulumi
import pulumi_kubernetes as kubernetes

from logsluice_infra import access, charts, lookups, provider, volumes
from logsluice_infra.cluster import Cluster, ClusterArgs
from logsluice_infra.entries import ReleaseEntry, load_entries, load_ignored_webhooks, merge
from logsluice_infra.facts import Facts
from logsluice_infra.identity import WorkloadIdentities, WorkloadIdentitiesArgs
from logsluice_infra.keys import EncryptionKey, EncryptionKeyArgs
from logsluice_infra.namespaces import Namespaces, NamespacesArgs
from logsluice_infra.network import Network, NetworkArgs
from logsluice_infra.releases import Releases, ReleasesArgs
from logsluice_infra.settings import AwsSettings, Settings, load
from logsluice_infra.storage import Storage, StorageArgs
from logsluice_infra.workloads import Workloads, WorkloadsArgs, overlay


def listed(settings: Settings) -> tuple[ReleaseEntry, ...]:
    """The stack's releases, each of whose charts can be had, once it is seen that there are workloads for its image.

    Raises:
        pulumi.RunError: one line, before anything is planned.
    """
    try:
        entries = load_entries(settings.stack)
        for entry in entries:
            charts.find(entry, settings.charts)
        if settings.image:
            overlay(settings.stack)
    except ValueError as error:
        raise pulumi.RunError(str(error)) from None
    return entries


def platform(settings: Settings, aws: AwsSettings, entries: tuple[ReleaseEntry, ...]) -> None:
    """All of it on AWS."""
    asked = lookups.ask(aws.region, aws.network.zones)
    name, stack = settings.name, settings.stack

    def key(what: str, purpose: str, log_groups: tuple[str, ...] = (), retain: bool = False) -> EncryptionKey:
        return EncryptionKey(
            f"{what}-key",
            EncryptionKeyArgs(
                stack=stack,
                name=f"{name}-{what}",
                purpose=f"{purpose} of {name}",
                account=asked.account,
                partition=asked.partition,
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
            zones=asked.zones,
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
            partition=asked.partition,
            zones=asked.zones,
            subnet_ids=network.private_subnet_ids,
            settings=aws.cluster,
            key_arn=cluster_key.arn,
            protect=settings.protect,
            ways=network.ways,
        ),
    )
    bucket = f"{name}-{asked.account}-{aws.region}"
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
            node_groups_arn=f"arn:{asked.partition}:eks:{aws.region}:{asked.account}:nodegroup/{name}/*",
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
    deploy(
        settings,
        entries,
        kube,
        Facts(image=settings.image, bucket=bucket),
        before=[cluster, volumes_class, identities, storage],
        values={"cluster-autoscaler": autoscaler},
    )
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
    pulumi.export("next_step", access.next_step(settings, storage.repository_url))


def deploy(
    settings: Settings,
    entries: tuple[ReleaseEntry, ...],
    kube: kubernetes.Provider,
    facts: Facts,
    before: list[pulumi.Resource],
    values: dict[str, dict[str, object]],
) -> None:
    """What runs in the cluster: namespaces, the operators, and once there is an image the workloads."""
    if settings.ignore_webhooks:
        values = merge(values, load_ignored_webhooks())
    on_cluster = pulumi.ResourceOptions(providers=[kube])
    namespaces = Namespaces(
        "namespaces",
        NamespacesArgs(names=[entry.namespace for entry in entries], protect=settings.protect, before=before),
        opts=on_cluster,
    )
    releases = Releases(
        "releases",
        ReleasesArgs(
            stack=settings.stack,
            entries=entries,
            charts=settings.charts,
            timeout_seconds=settings.release_timeout_seconds,
            facts=facts,
            protect=settings.protect,
            retain=settings.retain_data,
            before=[namespaces],
            values=merge(values, settings.release_values),
        ),
        opts=on_cluster,
    )
    if settings.image:
        Workloads(
            "workloads",
            WorkloadsArgs(
                directory=overlay(settings.stack), facts=facts, protect=settings.protect, before=[namespaces, releases]
            ),
            opts=on_cluster,
        )
    # A run of another workflow, or on another machine, takes it up from here: the settings in the repository have none.
    pulumi.export("image", settings.image)
    pulumi.export("kibana", access.kibana())
    pulumi.export("grafana", access.grafana())


def main() -> None:
    """The whole stack."""
    settings = load()
    entries = listed(settings)
    if settings.aws:
        platform(settings, settings.aws, entries)
    elif settings.existing:
        kube = provider.from_access(settings.existing, adopt=settings.adopt)
        deploy(settings, entries, kube, Facts(image=settings.image), before=[], values={})
        pulumi.export("next_step", access.next_step(settings, None))


main()
