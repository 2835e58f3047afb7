"""What a stack of Pulumi's sends, before a real API server: every field comes back as it was sent.

The provider's diff holds what was sent against what the server keeps (pulumi-kubernetes 4.32, provider/pkg/provider,
Diff): a field that the server drops or writes in another way is a change in every preview, for ever.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import yaml

from logsluice_infra.definitions import definitions
from tests.infra.graph import DIGEST, build
from tests.infra.sent_objects import Object, identity, sent
from tests.k8s.k8s_cluster import Cluster
from tests.k8s.k8s_tools import Loader
from tests.k8s.operator_definitions import all_definitions

IMAGES = {"local": "logsluice:0.1.0", "dev": DIGEST, "prod": DIGEST.replace("logsluice-dev", "logsluice-prod")}


def changed(before: Any, after: Any, where: str = "") -> Iterator[str]:
    """The fields of one that are not so in the other."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key, value in before.items():
            if key in after:
                yield from changed(value, after[key], f"{where}.{key}")
            else:
                yield f"{where}.{key}: {value!r} is dropped"
    elif isinstance(before, Sequence) and not isinstance(before, str) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from changed(one, other, f"{where}[{number}]")
    elif before != after:
        yield f"{where}: {before!r} becomes {after!r}"


def kept(cluster: Cluster, objects: Sequence[Object]) -> dict[tuple[str, ...], Any]:
    """What the server would keep of them; nothing is stored."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    done = cluster.kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-",
        stdin=text,
    )  # fmt: skip
    return {identity(item): item for item in json.loads(done.stdout)["items"]}


def differences(cluster: Cluster, objects: Sequence[Object]) -> list[str]:
    answers = kept(cluster, objects)
    return [f"{identity(item)} {line}" for item in objects for line in changed(item, answers[identity(item)])]


def test_the_servers_changes_are_seen(cluster: Cluster) -> None:
    """Else the tests below would show nothing."""
    pod = {"containers": [{"name": "c", "image": "i", "env": [{"name": "A", "value": ""}]}]}
    sloppy = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "sloppy", "namespace": "default", "labels": {}},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {**pod, "overhead": {"cpu": "1000m"}}},
        },
    }
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "namespace": "default"}}
    lines = differences(cluster, [sloppy, other])
    assert [line.partition(") ")[2] for line in lines] == [
        ".metadata.labels: {} is dropped",
        ".spec.template.spec.containers[0].env[0].value: '' is dropped",
        ".spec.template.spec.overhead.cpu: '1000m' becomes '1'",
    ]


def test_definitions_come_back_as_they_were_sent(cluster: Cluster) -> None:
    rendered = [item for item in yaml.load_all(all_definitions(), Loader) if item]
    assert "kafkas.kafka.strimzi.io" in {item["metadata"]["name"] for item in rendered}
    assert differences(cluster, definitions({"result": rendered})) == []


@pytest.mark.parametrize("stack", IMAGES)
def test_objects_come_back_as_they_were_sent(cluster: Cluster, stack: str) -> None:
    objects = [item for item in sent(build(stack, image=IMAGES[stack])) if item["kind"] != "CustomResourceDefinition"]
    namespaces = [item for item in objects if item["kind"] == "Namespace"]
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump_all(namespaces))
    assert differences(cluster, objects) == []
