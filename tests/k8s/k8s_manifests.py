"""What the overlays say, read as kustomize renders them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OVERLAYS = ("dev", "dev-aws", "prod")
SPARK = "logsluice-spark"

Object = dict[str, Any]


class Template(NamedTuple):
    """The pods that an object makes.

    Attributes:
        owner: ``Kind/name``, and the role for Spark's.
        template: Their metadata and spec.
        spark: Whether Spark adds the rest: image, resources, its own ports.
        namespace: Where they run.
    """

    owner: str
    template: Object
    spark: bool
    namespace: str

    @property
    def labels(self) -> dict[str, str]:
        labels: dict[str, str] = self.template["metadata"]["labels"]
        if not self.spark:
            return labels
        return labels | {"spark-role": self.owner.rpartition(" ")[2]}

    @property
    def containers(self) -> list[Object]:
        spec = self.template["spec"]
        return [*spec.get("initContainers", []), *spec["containers"]]


@dataclass(frozen=True)
class Overlay:
    """All objects of an overlay."""

    name: str
    objects: tuple[Object, ...]

    @property
    def on_aws(self) -> bool:
        """Whether it counts on the stack's node groups and bucket; dev by itself runs on any cluster."""
        return self.name != "dev"

    @property
    def environment(self) -> str:
        """The environment whose settings it uses."""
        return "prod" if self.name == "prod" else "dev"

    def of(self, kind: str, namespace: str | None = None) -> dict[str, Object]:
        """Objects of a kind by name: of one namespace, or of both where no two have the same name."""
        found = [item for item in self.objects if item["kind"] == kind]
        if namespace:
            found = [item for item in found if item["metadata"]["namespace"] == namespace]
        named = {item["metadata"]["name"]: item for item in found}
        assert len(named) == len(found), f"{kind}: one name in two namespaces"
        return named

    def templates(self) -> Iterator[Template]:
        for item in self.objects:
            owner, namespace = f"{item['kind']}/{item['metadata']['name']}", item["metadata"].get("namespace", "")
            if item["kind"] == "Deployment":
                yield Template(owner, item["spec"]["template"], spark=False, namespace=namespace)
            for role in ("driver", "executor"):
                if item["kind"] == "SparkApplication":
                    template = item["spec"][role]["template"]
                    yield Template(f"{owner} {role}", template, spark=True, namespace=namespace)
                if item["kind"] == "ScheduledSparkApplication":
                    template = item["spec"]["template"][role]["template"]
                    yield Template(f"{owner} {role}", template, spark=True, namespace=namespace)

    def spark(self) -> dict[str, Object]:
        """The specs of Spark's applications, scheduled or not, by name."""
        scheduled = {name: item["spec"]["template"] for name, item in self.of("ScheduledSparkApplication").items()}
        return {name: item["spec"] for name, item in self.of("SparkApplication").items()} | scheduled


def kustomize() -> list[str]:
    """The command that renders a folder; skips the test where there is none."""
    if kubectl := shutil.which("kubectl"):
        return [kubectl, "kustomize"]
    if alone := shutil.which("kustomize"):
        return [alone, "build"]
    pytest.skip("neither kubectl nor kustomize is here to render the overlays")


@cache
def rendered(name: str) -> str:
    done = subprocess.run(
        [*kustomize(), str(ROOT / "k8s" / "overlays" / name)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def overlay(name: str) -> Overlay:
    return Overlay(name, tuple(yaml.safe_load_all(rendered(name))))


def identity(item: Object) -> str:
    """``Kind/name``, and of what is Spark's ``Kind/logsluice-spark/name``."""
    where = [SPARK] if item["metadata"].get("namespace") == SPARK else []
    return "/".join([item["kind"], *where, item["metadata"]["name"]])
