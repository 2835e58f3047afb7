"""The Helm releases in the order that they need each other, and the definitions that Helm would leave behind."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from . import charts
from .definitions import definitions
from .entries import ReleaseEntry, load_values, merge, switched
from .facts import Facts, fill


@dataclass(frozen=True)
class ReleasesArgs:
    """The releases.

    Attributes:
        stack: the stack whose values are taken.
        entries: what to install, each behind those it needs.
        charts: take charts from this folder, None: from their repositories.
        timeout_seconds: how long one release may take.
        facts: what the values leave a place for.
        values: values over those of the files, by release.
        protect: deny the deletion of stateful releases, and of the definitions.
        retain: the definitions outlive the stack, and with them all objects of their kinds, whoever made them.
        before: what must be there before the first.
    """

    stack: str
    entries: Sequence[ReleaseEntry]
    charts: Path | None
    timeout_seconds: int
    facts: Facts
    protect: bool
    retain: bool
    before: Sequence[pulumi.Resource]
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Releases(pulumi.ComponentResource):
    """Each release atomic: it is there whole, or it was rolled back and `up` says so."""

    def __init__(self, name: str, args: ReleasesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("logsluice:infra:Releases", name, None, opts)
        self._args = args
        releases: dict[str, kubernetes.helm.v3.Release] = {}
        for entry in args.entries:
            chart = charts.find(entry, args.charts)
            values = fill(
                merge(load_values(entry.name, args.stack), args.values.get(entry.name, {})),
                args.facts,
            )
            before = [*args.before, *(releases[need] for need in entry.after if need in releases)]
            if entry.crds:
                before.append(self._definitions(entry, chart, switched(entry, values, True), before))
            releases[entry.name] = self._release(entry, chart, switched(entry, values, False), before)
        self.register_outputs({})

    def _release(
        self, entry: ReleaseEntry, chart: charts.Chart, values: Mapping[str, Any], before: Sequence[pulumi.Resource]
    ) -> kubernetes.helm.v3.Release:
        repository = chart.repository
        return kubernetes.helm.v3.Release(
            entry.name,
            name=entry.name,
            namespace=entry.namespace,
            create_namespace=False,
            chart=chart.chart,
            version=entry.version,
            repository_opts=kubernetes.helm.v3.RepositoryOptsArgs(repo=repository) if repository else None,
            values=values,
            skip_crds=entry.crds,
            atomic=True,
            cleanup_on_fail=True,
            dependency_update=False,
            max_history=5,
            timeout=self._args.timeout_seconds,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=list(before), protect=self._args.protect and entry.stateful
            ),
        )

    def _definitions(
        self, entry: ReleaseEntry, chart: charts.Chart, values: Mapping[str, Any], before: Sequence[pulumi.Resource]
    ) -> kubernetes.yaml.v2.ConfigGroup:
        """The chart's definitions as resources of the stack: a new version brings its own, and `destroy` ends them."""
        options = {
            **chart.template_options(entry.version),
            "release_name": entry.name,
            "namespace": entry.namespace,
            "values": values,
        }
        rendered = pulumi.runtime.invoke_output(
            "kubernetes:helm:template",
            {"jsonOpts": json.dumps(options, sort_keys=True)},
            pulumi.InvokeOptions(parent=self),
        )
        return kubernetes.yaml.v2.ConfigGroup(
            f"{entry.name}-crds",
            objs=_with_one_line_errors(entry.name, rendered).apply(definitions),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(before),
                protect=self._args.protect,
                transforms=[retained] if self._args.retain else None,
            ),
        )


def retained(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult:
    """The resource, left where it is when the stack goes."""
    opts = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(retain_on_delete=True))
    return pulumi.ResourceTransformResult(props=args.props, opts=opts)


def _with_one_line_errors(release: str, rendered: pulumi.Output[Any]) -> pulumi.Output[Any]:
    """The same; that there is no answer is told in a line, without the stack trace of whoever waits for it."""

    async def value() -> Any:
        try:
            return await rendered.future()
        except Exception as error:  # the SDK has one kind of error for all
            reason = " ".join(str(error).split())
            raise pulumi.RunError(
                f"the definitions of {release} cannot be had from the cluster: {reason}. A private API is reached as "
                'docs/deploy.md says under "The API server, when it is private"; then run `pulumi up` again'
            ) from None

    async def of(awaited: Awaitable[Any], otherwise: Any) -> Any:
        try:
            return await awaited
        except Exception:  # told by the value
            return otherwise

    return pulumi.Output(
        of(rendered.resources(), set()), value(), of(rendered.is_known(), True), of(rendered.is_secret(), False)
    )
