"""The stack: its settings read, its parts made and joined, its outputs. Run by `pulumi up` at the repository's root."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes

from logsluice_infra import access, charts, provider
from logsluice_infra.entries import ReleaseEntry, load_entries, load_ignored_webhooks, merge
from logsluice_infra.facts import Facts
from logsluice_infra.namespaces import Namespaces, NamespacesArgs
from logsluice_infra.releases import Releases, ReleasesArgs
from logsluice_infra.settings import Settings, load
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
        # Only here: its SDK takes seconds to load, and a stack with no AWS runs where it is not installed.
        from logsluice_infra.platform import platform

        base = platform(settings, settings.aws)
        deploy(settings, entries, base.kube, base.facts, before=base.before, values=base.values)
        pulumi.export("next_step", access.next_step(settings, base.image_repository))
    elif settings.existing:
        kube = provider.from_access(settings.existing, adopt=settings.adopt)
        deploy(settings, entries, kube, Facts(image=settings.image), before=[], values={})
        pulumi.export("next_step", access.next_step(settings, None))


main()
