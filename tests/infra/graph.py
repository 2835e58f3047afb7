"""Runs the Pulumi program as the engine would, and keeps all that it registers: inputs, options, parents, outputs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import runpy
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import grpc
import pulumi
import yaml
from pulumi.runtime import mocks, rpc, stack

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
ACCOUNT = "123456789012"
REGION = "eu-central-1"
CALLER = f"arn:aws:sts::{ACCOUNT}:assumed-role/Maker/me"
Entries = Mapping[str, Mapping[str, str]]
DIGEST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/logsluice-dev@sha256:{'0' * 64}"

if str(INFRA) not in sys.path:
    sys.path.insert(0, str(INFRA))


@dataclass(frozen=True)
class Node:
    """One registered resource."""

    urn: str
    type: str
    name: str
    inputs: Mapping[str, Any]
    parent: str
    depends_on: frozenset[str]
    provider: str
    custom: bool
    protect: bool
    retain_on_delete: bool
    ignore_changes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.type} {self.name}"

    @property
    def id(self) -> str:
        """The id that the stand-in gave it."""
        return f"{self.name}-id"


@dataclass
class Graph:
    """All that a run registered."""

    nodes: list[Node] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    secret_outputs: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    templates: list[dict[str, Any]] = field(default_factory=list)

    def of(self, type_: str) -> list[Node]:
        """The nodes of a type, by the end of its token: `ec2/vpc:Vpc`."""
        return [node for node in self.nodes if node.type.endswith(type_)]

    def one(self, type_: str, name: str | None = None) -> Node:
        """The only node of a type (and name)."""
        found = [node for node in self.of(type_) if name in (None, node.name)]
        assert len(found) == 1, (type_, name, [str(node) for node in found])
        return found[0]

    def before(self, node: Node) -> set[str]:
        """URNs of all that is there before a node: what it depends on, and that on, and the parts of components."""
        by_urn = {each.urn: each for each in self.nodes}
        children: dict[str, list[str]] = {}
        for each in self.nodes:
            children.setdefault(each.parent, []).append(each.urn)
        seen: set[str] = set()
        waiting = [*node.depends_on]
        while waiting:
            urn = waiting.pop()
            if urn in seen or urn not in by_urn:
                continue
            seen.add(urn)
            waiting += [*by_urn[urn].depends_on, *children.get(urn, [])]
        return seen


def rendered(release: str) -> list[dict[str, Any]]:
    """What a chart renders to in the provider's answer."""
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "operator"}},
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"things.{release}.example.org", "creationTimestamp": None},
            "spec": {"group": f"{release}.example.org"},
            "status": {"storedVersions": []},
        },
    ]


class ProviderError(grpc.RpcError):  # type: ignore[misc]
    """What a provider's error is to the SDK (pulumi 3.272, runtime/settings.py: grpc_error_to_exception)."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return str(self.args[0])


class Answers(mocks.Mocks):
    """What AWS and the providers would answer."""

    def __init__(self, zones: int = 4, caller: str = CALLER, entries: Entries | None = None) -> None:
        """entries: the tags of the access entries of the stack's cluster, by principal; None: it is not there yet."""
        self.templates: list[dict[str, Any]] = []
        self._caller, self._entries = caller, entries
        self.unreachable = ""
        self._zones = [f"{REGION}{letter}" for letter in "dcba"[-zones:]]

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        outputs = dict(args.inputs)
        kind = args.typ
        name = outputs.get("name", args.name)
        service = kind.split(":")[1].split("/")[0] if kind.startswith("aws:") else ""
        outputs.setdefault("name", name)
        outputs.setdefault("arn", f"arn:aws:{service}:{REGION}:{ACCOUNT}:{kind.rpartition(':')[2]}/{name}")
        if kind == "aws:s3/bucket:Bucket":
            outputs["arn"] = f"arn:aws:s3:::{outputs['bucket']}"
        if kind == "aws:eks/cluster:Cluster":
            outputs["endpoint"] = "https://0123456789ABCDEF.gr7.eu-central-1.eks.amazonaws.com"
            outputs["certificateAuthority"] = {"data": "Y2E="}
        if kind == "aws:ecr/repository:Repository":
            outputs["repositoryUrl"] = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{name}"
        if kind == "aws:ec2/launchTemplate:LaunchTemplate":
            outputs["latestVersion"] = 1
        if kind == "aws:kms/key:Key":
            outputs["keyId"] = f"{args.name}-id"
        return f"{args.name}-id", outputs

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        if args.token == "kubernetes:helm:template":
            assert args.provider, "it is rendered by the stack's own provider"
            if self.unreachable:
                raise ProviderError(f"configured Kubernetes cluster is unreachable: {self.unreachable}")
            options = json.loads(args.args["jsonOpts"])
            self.templates.append(options)
            return {"result": rendered(options["release_name"])}, []
        if args.token == "aws:eks/getAccessEntry:getAccessEntry":
            principal = args.args["principalArn"]
            if principal not in (self._entries or {}):
                raise ProviderError("couldn't find resource")
            return {"principalArn": principal, "tags": (self._entries or {})[principal]}, []
        clusters = [] if self._entries is None else [f"logsluice-{pulumi.get_stack()}"]
        answers: dict[str, dict[str, Any]] = {
            "aws:eks/getClusters:getClusters": {"names": ["another", *clusters]},
            "aws:index/getAvailabilityZones:getAvailabilityZones": {"names": self._zones, "zoneIds": []},
            "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": ACCOUNT, "arn": self._caller, "userId": ""},
            "aws:index/getPartition:getPartition": {"partition": "aws", "dnsSuffix": "amazonaws.com"},
        }
        return answers[args.token], []


class _Monitor(mocks.MockMonitor):
    """Keeps the requests as the engine would get them."""

    def __init__(self, answers: mocks.Mocks, graph: Graph) -> None:
        super().__init__(answers)
        self._graph = graph

    def RegisterResource(self, request: Any) -> Any:
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            self._graph.nodes.append(
                Node(
                    urn=response.urn,
                    type=request.type,
                    name=request.name,
                    inputs=rpc.deserialize_properties(request.object),
                    parent=request.parent,
                    depends_on=frozenset(request.dependencies),
                    provider=request.provider or dict(request.providers).get("kubernetes", ""),
                    custom=request.custom,
                    protect=request.protect,
                    retain_on_delete=request.retainOnDelete,
                    ignore_changes=tuple(request.ignoreChanges),
                )
            )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:
        if request.urn.split("::")[2] == "pulumi:pulumi:Stack":
            outputs = rpc.deserialize_properties(request.outputs, keep_unknowns=True)
            self._graph.outputs = {key: plain(value) for key, value in outputs.items()}
            self._graph.secret_outputs = {key for key, value in outputs.items() if rpc.is_rpc_secret(value)}
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


class _Engine(mocks.MockEngine):
    def __init__(self, graph: Graph) -> None:
        super().__init__(None)
        self._graph = graph

    def Log(self, request: Any) -> None:
        if request.severity == 2:
            self._graph.warnings.append(request.message)


def plain(value: Any) -> Any:
    """A value, secret or not."""
    return rpc.unwrap_rpc_secret(value) if rpc.is_rpc_secret(value) else value


def stack_file(name: str) -> dict[str, Any]:
    """What Pulumi.<stack>.yaml says, as it is written, over what Pulumi.yaml says for each stack."""
    config: dict[str, Any] = yaml.safe_load((INFRA / f"Pulumi.{name}.yaml").read_text("utf-8"))["config"]
    return {**project_config(), **config}


def project_config() -> dict[str, Any]:
    """The settings that Pulumi.yaml declares, by their defaults (Pulumi 3.274: go/common/workspace/project.json)."""
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text("utf-8"))["config"]
    return {f"logsluice:{key}": each["default"] for key, each in declared.items()}


def as_the_engine_gives_it(config: Mapping[str, Any]) -> dict[str, str]:
    """Every value as text: objects, numbers and truth values as JSON."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}


def build(name: str, zones: int = 4, caller: str = CALLER, entries: Entries | None = None, **changes: Any) -> Graph:
    """Run the program for a stack.

    Args:
        name: the stack's name; its file is read.
        zones: how many zones the region has.
        caller: who runs it.
        entries: who comes into the cluster that is there, with the tags of each entry; None: there is none yet.
        changes: keys of this project over those of the file; None takes one away.
    """
    config = stack_file(name)
    for key, value in changes.items():
        config.pop(f"logsluice:{key}", None)
        if value is not None:
            config[f"logsluice:{key}"] = value
    return run(name, config, answers=Answers(zones, caller, entries))


def run(name: str, config: Mapping[str, Any], graph: Graph | None = None, answers: Answers | None = None) -> Graph:
    """Run the program with this configuration; a graph that is given has what was registered before an error."""
    graph = Graph() if graph is None else graph
    answers = Answers() if answers is None else answers

    def run_program() -> None:
        runpy.run_path(str(INFRA), run_name="__main__")

    async def program() -> None:
        root = pulumi.runtime.settings.ROOT
        root.set(cast("pulumi.Resource", object()))  # else set_mocks makes a stack resource of its own
        mocks.set_mocks(answers, project="logsluice", stack=name, preview=False, monitor=_Monitor(answers, graph))
        root.set(None)
        pulumi.runtime.settings.SETTINGS.engine = _Engine(graph)
        pulumi.runtime.set_all_config(as_the_engine_gives_it(config))
        await stack.run_in_stack(run_program)

    with contextlib.closing(asyncio.new_event_loop()) as loop:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(program())
    graph.templates = answers.templates
    return graph
