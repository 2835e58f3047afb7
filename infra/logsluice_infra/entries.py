"""The list of Helm releases, `helm/releases.yaml`, and their values, `helm/<release>/`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from .settings import ROOT

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
        crds: its chart has definitions that Helm leaves behind: the engine owns them.
        crds_switch: the value, dots between its keys, with which the chart renders them among its templates; None: they
            are in its folder `crds/`.
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
    crds: bool = False
    crds_switch: str | None = None
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
        location = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path.name}: {location} of {first['input']}: {first['msg']}") from None
    names = [entry.name for entry in listed]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{path.name}: {', '.join(twice)} is listed twice")
    if unknown := sorted({need for entry in listed for need in entry.after} - set(names)):
        raise ValueError(f"{path.name}: `after` names {', '.join(unknown)}, which is not listed")
    return _ordered(path, [entry for entry in listed if stack in entry.stacks])


def _ordered(path: Path, entries: list[ReleaseEntry]) -> tuple[ReleaseEntry, ...]:
    here = {entry.name for entry in entries}
    placed: dict[str, ReleaseEntry] = {}
    while pending := [entry for entry in entries if entry.name not in placed]:
        ready = [entry for entry in pending if set(entry.after) & here <= set(placed)]
        if not ready:
            raise ValueError(f"{path.name}: {', '.join(each.name for each in pending)} wait for each other (`after`)")
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


def switched(entry: ReleaseEntry, values: Mapping[str, Any], on: bool) -> dict[str, Any]:
    """A release's values with the chart's definitions among its objects, or without them."""
    if entry.crds_switch is None:
        return dict(values)
    over: Any = on
    for key in reversed(entry.crds_switch.split(".")):
        over = {key: over}
    return merge(values, over)


def load_ignored_webhooks(path: Path = HELM / "webhooks-ignore.yaml") -> dict[str, dict[str, Any]]:
    """Values by release with which what no admission webhook answers for is let through."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text("utf-8"))
    return found


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Values over values as Helm does it: maps are merged, all else is replaced."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged
