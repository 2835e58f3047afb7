"""One job out of an overlay's objects."""

from __future__ import annotations

from typing import Any

import pytest

from logsluice.errors import LogsluiceError
from logsluice.kubernetes.rendering import application_manifests, fill_placeholders

JOBS = "logsluice-spark"


def _object(kind: str, name: str, namespace: str | None = JOBS, **more: Any) -> dict[str, Any]:
    where = {"namespace": namespace} if namespace else {}
    return {"kind": kind, "metadata": {"name": name} | where} | more


def _role(account: str, *volumes: dict[str, Any]) -> dict[str, Any]:
    container = {"envFrom": [{"configMapRef": {"name": "environment"}}]}
    return {"serviceAccount": account, "template": {"spec": {"containers": [container], "volumes": list(volumes)}}}


SPEC = {
    "image": "logsluice:0.1.0",
    "driver": _role("driver", {"configMap": {"name": "config-1"}}, {"persistentVolumeClaim": {"claimName": "c"}}),
    "executor": _role("executor"),
}
SUBJECTS = [{"kind": "ServiceAccount", "name": "driver", "namespace": JOBS}]
OTHERS = [{"kind": "ServiceAccount", "name": "driver", "namespace": "logsluice"}]
OBJECTS = [
    _object("Namespace", "logsluice", None),
    _object("Namespace", JOBS, None),
    _object("ServiceAccount", "driver"),
    _object("ServiceAccount", "executor"),
    _object("ServiceAccount", "driver", "logsluice"),
    _object("Role", "r"),
    _object("Role", "other"),
    _object("RoleBinding", "b", roleRef={"name": "r"}, subjects=SUBJECTS),
    _object("RoleBinding", "other", roleRef={"name": "other"}, subjects=OTHERS),
    _object("ConfigMap", "config-1"),
    _object("ConfigMap", "config-1", "logsluice"),
    _object("ConfigMap", "environment"),
    _object("PersistentVolumeClaim", "c"),
    _object("NetworkPolicy", "deny"),
    _object("SparkApplication", "job", spec=SPEC),
    _object("ScheduledSparkApplication", "nightly", spec={"template": SPEC}),
]


@pytest.mark.parametrize("job", ["job", "nightly"])
def test_a_job_comes_with_what_it_cannot_start_without(job: str) -> None:
    picked = [(item["kind"], item["metadata"]["name"]) for item in application_manifests(OBJECTS, job)]
    assert picked[:-1] == [
        ("Namespace", JOBS),
        ("ServiceAccount", "driver"),
        ("ServiceAccount", "executor"),
        ("Role", "r"),
        ("RoleBinding", "b"),
        ("ConfigMap", "config-1"),
        ("ConfigMap", "environment"),
        ("PersistentVolumeClaim", "c"),
    ]
    assert picked[-1][1] == job
    assert all(item["metadata"].get("namespace") != "logsluice" for item in application_manifests(OBJECTS, job))


def test_a_job_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(LogsluiceError, match="x: no such job among the manifests; there are job, nightly"):
        application_manifests(OBJECTS, "x")
    with pytest.raises(LogsluiceError, match="render an overlay"):
        application_manifests([], "x")


def test_image_bucket_and_region_take_their_places() -> None:
    given = {"spec": {"image": "logsluice:0.1.0", "dir": "s3a://logsluice-bucket/events", "other": ["redis", 1]}}
    given["spec"]["region"] = "logsluice-region"
    assert fill_placeholders(given, image="r/l@sha256:0", bucket="mine", region="here") == {
        "spec": {"image": "r/l@sha256:0", "dir": "s3a://mine/events", "other": ["redis", 1], "region": "here"}
    }
    assert fill_placeholders(given, image=None, bucket=None, region=None) == given
    assert fill_placeholders({"image": "redis:7"}, image="r/l", bucket=None, region=None) == {"image": "redis:7"}
