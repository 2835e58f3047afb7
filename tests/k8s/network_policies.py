"""Who may talk to whom: Kubernetes' network policies over the labels that pods have when they run.

The meaning of a policy is that of kubernetes/api v0.36, ``networking/v1/types.go``: policies add up; a pod that none
selects for a direction may do everything in it; a rule with no peers is about everybody, one with no ports about every
port; a peer with no namespace selector means the policy's own namespace.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Object = dict[str, Any]
INGRESS, EGRESS = "Ingress", "Egress"


@dataclass(frozen=True)
class Endpoint:
    """A pod, or an address outside of the cluster.

    Attributes:
        name: What it is.
        namespace: Where the pod is; empty for what is no pod.
        labels: The pod's labels when it runs.
        namespace_labels: Those of its namespace.
        address: Where it is; every pod of ours lies in a private range, like a cloud's.
        listens: The ports that it serves, ``8090`` for TCP or ``UDP 53``.
    """

    name: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    address: str = "10.20.30.40"
    listens: frozenset[str] = frozenset()


def edges(policies: Iterable[Object], endpoints: Iterable[Endpoint]) -> Iterator[tuple[str, str]]:
    """Every edge that is let through at both of its ends, as who and ``whom:port``; only to ports that are served."""
    listed, everybody = list(policies), list(endpoints)
    for target in everybody:
        for port in target.listens:
            for source in everybody:
                if _allows(listed, EGRESS, source, target, port) and _allows(listed, INGRESS, target, source, port):
                    yield source.name, f"{target.name}:{port}"


def in_vain(policies: Iterable[Object], endpoints: Iterable[Endpoint]) -> Iterator[str]:
    """Every port and every peer of a rule that lets nothing through which the other end lets through too.

    Ranges of addresses are not looked at: which of them a cluster uses is its own matter.
    """
    listed, everybody = list(policies), list(endpoints)
    open_edges = set(edges(listed, everybody))
    for policy in listed:
        about = [pod for pod in everybody if pod.namespace and selects(policy["spec"]["podSelector"], pod.labels)]
        for direction, rule in _single(policy):
            spec = policy["spec"] | {"policyTypes": [direction], "ingress": [], "egress": [], direction.lower(): [rule]}
            alone = {"metadata": policy["metadata"], "spec": spec}
            if not any(_is_used(alone, direction, pod, everybody, open_edges) for pod in about):
                yield f"{policy['metadata']['name']}, {direction}: {rule}"


def _single(policy: Object) -> Iterator[tuple[str, Object]]:
    """Each rule with one of its ports, and with one of its peers."""
    for direction, peers in ((INGRESS, "from"), (EGRESS, "to")):
        for rule in policy["spec"].get(direction.lower(), []):
            for part in ("ports", peers):
                for entry in rule.get(part, []):
                    if "ipBlock" not in entry:
                        yield direction, rule | {part: [entry]}


def _is_used(
    policy: Object, direction: str, pod: Endpoint, everybody: list[Endpoint], open_edges: set[tuple[str, str]]
) -> bool:
    for other in everybody:
        source, target = (other, pod) if direction == INGRESS else (pod, other)
        for port in target.listens:
            if (source.name, f"{target.name}:{port}") in open_edges and _allows([policy], direction, pod, other, port):
                return True
    return False


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Whether a label selector is about what has these labels."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    return all(_expression_matches(rule, labels.get(rule["key"])) for rule in selector.get("matchExpressions", []))


def _expression_matches(rule: Object, value: str | None) -> bool:
    match rule["operator"]:
        case "In":
            return value in rule["values"]
        case "NotIn":
            return value not in rule["values"]
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case unknown:
            raise AssertionError(unknown)


def _allows(policies: list[Object], direction: str, here: Endpoint, there: Endpoint, port: str) -> bool:
    about = [policy for policy in policies if _is_about(policy, direction, here)]
    if not about:
        return True
    return any(
        _is_port(rule, port) and _is_peer(rule, "from" if direction == INGRESS else "to", there, policy)
        for policy in about
        for rule in policy["spec"].get(direction.lower(), [])
    )


def _is_about(policy: Object, direction: str, pod: Endpoint) -> bool:
    spec = policy["spec"]
    types = spec.get("policyTypes") or [INGRESS, *([EGRESS] if "egress" in spec else [])]
    return (
        direction in types
        and policy["metadata"]["namespace"] == pod.namespace
        and selects(spec["podSelector"], pod.labels)
    )


def _is_port(rule: Object, port: str) -> bool:
    listed = rule.get("ports")
    protocol, _, number = port.rpartition(" ")
    return not listed or (protocol or "TCP", int(number)) in {
        (entry.get("protocol", "TCP"), entry["port"]) for entry in listed
    }


def _is_peer(rule: Object, key: str, other: Endpoint, policy: Object) -> bool:
    peers = rule.get(key)
    return not peers or any(_matches(peer, other, policy["metadata"]["namespace"]) for peer in peers)


def _matches(peer: Object, other: Endpoint, namespace: str) -> bool:
    if block := peer.get("ipBlock"):
        address = ip_address(other.address)
        return address in ip_network(block["cidr"]) and not any(
            address in ip_network(cidr) for cidr in block.get("except", [])
        )
    if not other.namespace:
        return False
    inside = peer.get("namespaceSelector")
    there = other.namespace == namespace if inside is None else selects(inside, other.namespace_labels)
    return there and selects(peer.get("podSelector", {}), other.labels)
