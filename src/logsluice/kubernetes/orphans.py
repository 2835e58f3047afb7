"""Deletes executor pods that outlived their driver.

The Spark operator (kubeflow/spark-operator 2.5.2, internal/controller/sparkapplication/submission.go,
``executorPodTemplateOption``) makes its SparkApplication a second owner of every executor, and Kubernetes collects what
has no owner left. So a driver that is killed leaves its executors behind, for as long as the application is there: the
next driver clears them away.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from kubernetes.client import ApiClient, CoreV1Api

from logsluice.kubernetes.access import get_or_none


def orphans(pods: Sequence[dict[str, Any]]) -> list[str]:
    """The names of the operator's executors whose driver is not among the pods of their namespace.

    Kubernetes takes an owner that is gone out of what has another one, so an orphan may name no driver at all.
    """
    there = {pod["metadata"]["uid"] for pod in pods}
    return [pod["metadata"]["name"] for pod in pods if _is_executor(pod) and there.isdisjoint(_owners(pod, "Pod"))]


def _is_executor(pod: dict[str, Any]) -> bool:
    labels = pod["metadata"].get("labels", {})
    return labels.get("spark-role") == "executor" and bool(_owners(pod, "SparkApplication"))


def _owners(pod: dict[str, Any], kind: str) -> set[str]:
    return {owner["uid"] for owner in pod["metadata"].get("ownerReferences", []) if owner["kind"] == kind}


def delete_orphans(api: ApiClient, namespace: str) -> list[str]:
    """Delete them, and give their names.

    Raises:
        ApiException: The cluster refuses.
        HTTPError: It does not answer.
    """
    core = CoreV1Api(api)
    listed = api.sanitize_for_serialization(core.list_namespaced_pod(namespace))
    names = orphans(listed["items"])
    for name in names:
        get_or_none(partial(core.delete_namespaced_pod, name, namespace))
    return names
