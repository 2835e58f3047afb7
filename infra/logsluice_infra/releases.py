"""The Helm releases of `helm/releases.yaml`, in the order that they need each other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from .facts import Facts, fill
from .settings import PROGRAM, ROOT

HELM = ROOT / "helm"


class ReleaseEntry(BaseModel):
    """One entry of releases.yaml.

    Attributes:
        name: the release's name, and that of its folder of values.
        chart: the chart's name in its repository.
        repository: `https://` or `oci://` address.
        version: the chart's version, exactly.
        namespace: where it goes.
        stacks: the stacks that have it.
        after: releases that must be there before: operators before what they own, CRDs before what is of their kind.
        stateful: it owns data; `protect` keeps it from being deleted or replaced.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    chart: str
    repository: str
    version: str
    namespace: str
    stacks: tuple[str, ...]
    after: tuple[str, ...] = ()
    stateful: bool = False


def load_entries(stack: str, path: Path = HELM / "releases.yaml") -> tuple[ReleaseEntry, ...]:
    """A stack's releases, each behind those that it needs.

    Raises:
        ValueError: one line that says what is wrong with the list, and where.
    """
    try:
        listed = [ReleaseEntry.model_validate(entry) for entry in yaml.safe_load(path.read_text("utf-8"))["releases"]]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path.name}: {where} of {first['input']}: {first['msg']}") from None
    names = [entry.name for entry in listed]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{path.name}: {', '.join(twice)} is listed twice")
    if unknown := sorted({need for entry in listed for need in entry.after} - set(names)):
        raise ValueError(f"{path.name}: `after` names {', '.join(unknown)}, which is not listed")
    return _ordered(path, [entry for entry in listed if stack in entry.stacks])


def _ordered(path: Path, entries: list[ReleaseEntry]) -> tuple[ReleaseEntry, ...]:
    here = {entry.name for entry in entries}
    placed: dict[str, ReleaseEntry] = {}
    while waiting := [entry for entry in entries if entry.name not in placed]:
        ready = [entry for entry in waiting if set(entry.after) & here <= set(placed)]
        if not ready:
            raise ValueError(f"{path.name}: {', '.join(entry.name for entry in waiting)} wait for each other (`after`)")
        placed.update({entry.name: entry for entry in ready})
    return tuple(placed.values())


def load_values(release: str, stack: str, directory: Path = HELM) -> dict[str, Any]:
    """A release's values: values.yaml, and over it values-<stack>.yaml."""
    merged: dict[str, Any] = {}
    for name in ("values.yaml", f"values-{stack}.yaml"):
        path = directory / release / name
        if path.is_file():
            merged = merge(merged, yaml.safe_load(path.read_text("utf-8")) or {})
    return merged


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Values over values as Helm does it: maps are merged, all else is replaced."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def local_chart(charts: Path, entry: ReleaseEntry) -> str:
    """The path of a chart in a folder of charts: unpacked, or as Helm packs it.

    Raises:
        ValueError: when the folder has it in no form.
    """
    tried = [f"{entry.chart}-{entry.version}.tgz", entry.chart, f"{entry.chart}-{entry.version}", entry.name]
    for name in tried:
        path = charts / name
        if path.is_file() or (path / "Chart.yaml").is_file():
            return os.path.relpath(path, PROGRAM) if path.is_relative_to(ROOT) else str(path)
    raise ValueError(f"logsluice:charts: {charts} has no chart {entry.chart} (looked for {', '.join(tried)})")


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
        protect: deny the deletion of stateful releases.
        before: what must be there before the first.
    """

    stack: str
    entries: Sequence[ReleaseEntry]
    charts: Path | None
    timeout_seconds: int
    facts: Facts
    protect: bool
    before: Sequence[pulumi.Resource]
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Releases(pulumi.ComponentResource):
    """Each release atomic: it is there whole, or it was rolled back and `up` says so."""

    def __init__(self, name: str, args: ReleasesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("logsluice:infra:Releases", name, None, opts)
        made: dict[str, kubernetes.helm.v3.Release] = {}
        for entry in args.entries:
            needs = [made[need] for need in entry.after if need in made]
            made[entry.name] = self._release(entry, args, [*args.before, *needs])
        self.releases = made
        self.register_outputs({})

    def _release(
        self, entry: ReleaseEntry, args: ReleasesArgs, before: Sequence[pulumi.Resource]
    ) -> kubernetes.helm.v3.Release:
        oci = entry.repository.startswith("oci://")
        chart, repository = entry.chart, entry.repository
        if args.charts:
            chart, repository = local_chart(args.charts, entry), ""
        elif oci:
            chart, repository = f"{entry.repository.rstrip('/')}/{entry.chart}", ""
        values = merge(load_values(entry.name, args.stack), args.values.get(entry.name, {}))
        return kubernetes.helm.v3.Release(
            entry.name,
            name=entry.name,
            namespace=entry.namespace,
            create_namespace=False,
            chart=chart,
            version=entry.version,
            repository_opts=kubernetes.helm.v3.RepositoryOptsArgs(repo=repository) if repository else None,
            values=fill(values, args.facts),
            atomic=True,
            cleanup_on_fail=True,
            dependency_update=False,
            max_history=5,
            timeout=args.timeout_seconds,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(before), protect=args.protect and entry.stateful),
        )
