"""The status of everything deployed in the namespace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from kubernetes.client import ApiClient, AppsV1Api, BatchV1Api

from logsluice.kubernetes.applications import (
    APPLICATIONS,
    GROUP,
    SCHEDULED,
    VERSION,
    Manifest,
    list_custom_objects,
    run_status,
)

_WORKING = {"RUNNING", "COMPLETED", "SUCCEEDING"}


class Workload(NamedTuple):
    """One thing that runs.

    Attributes:
        kind: Its kind.
        detail: Its state in the words of who looks after it.
    """

    kind: str
    name: str
    ready: bool
    detail: str


def workloads(api: ApiClient, *, namespace: str) -> list[Workload]:
    """Everything of logsluice in a namespace; kinds whose operator is not there are left out."""
    natives: list[tuple[Callable[[Manifest], Workload], Any]] = [
        (_deployment, AppsV1Api(api).list_namespaced_deployment(namespace)),
        (_job, BatchV1Api(api).list_namespaced_job(namespace)),
    ]
    found = [describe(api.sanitize_for_serialization(item)) for describe, answer in natives for item in answer.items]
    for group, version, plural, describe in _KINDS:
        found += [describe(item) for item in list_custom_objects(api, group, version, plural, namespace=namespace)]
    return found


def _deployment(item: Manifest) -> Workload:
    replicas, ready = item["spec"].get("replicas", 1), item["status"].get("readyReplicas", 0)
    return Workload("Deployment", _name(item), ready >= replicas, f"{ready} of {replicas} ready")


def _job(item: Manifest) -> Workload:
    conditions = {entry["type"] for entry in item["status"].get("conditions", []) if entry["status"] == "True"}
    state = next((word for word in ("Failed", "Complete") if word in conditions), "Running")
    return Workload("Job", _name(item), state == "Complete", state)


def _application(item: Manifest) -> Workload:
    run = run_status(item)
    return Workload("SparkApplication", run.name, run.state in _WORKING, f"{run.state} {run.message}".strip())


def _schedule(item: Manifest) -> Workload:
    status = item.get("status", {})
    state = status.get("scheduleState") or "New"
    last = status.get("lastRunName")
    detail = f"{state}, {item['spec']['schedule']}" + (f", last {last}" if last else "")
    return Workload("ScheduledSparkApplication", _name(item), state == "Scheduled", detail)


def _strimzi(item: Manifest) -> Workload:
    """Strimzi tells its ``Ready`` condition, with a reason where it is not."""
    conditions = {entry["type"]: entry for entry in item.get("status", {}).get("conditions", [])}
    ready = conditions.get("Ready", {}).get("status") == "True"
    not_ready = conditions.get("NotReady", {})
    detail = (
        "Ready" if ready else f"{not_ready.get('reason', 'not seen by its operator')} {not_ready.get('message', '')}"
    )
    return Workload(item["kind"], _name(item), ready, " ".join(detail.split()))


def _elastic(item: Manifest) -> Workload:
    """ECK tells a health; yellow is one replica less than wanted, and works."""
    status = item.get("status", {})
    health = status.get("health", "unknown")
    return Workload(item["kind"], _name(item), health in ("green", "yellow"), health)


def _name(item: Manifest) -> str:
    return str(item["metadata"]["name"])


_KINDS: tuple[tuple[str, str, str, Callable[[Manifest], Workload]], ...] = (
    (GROUP, VERSION, APPLICATIONS, _application),
    (GROUP, VERSION, SCHEDULED, _schedule),
    ("kafka.strimzi.io", "v1", "kafkas", _strimzi),
    ("kafka.strimzi.io", "v1", "kafkatopics", _strimzi),
    ("kafka.strimzi.io", "v1", "kafkausers", _strimzi),
    ("elasticsearch.k8s.elastic.co", "v1", "elasticsearches", _elastic),
    ("kibana.k8s.elastic.co", "v1", "kibanas", _elastic),
    ("logstash.k8s.elastic.co", "v1alpha1", "logstashes", _elastic),
)
