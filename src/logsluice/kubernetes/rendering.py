"""Extracts one Spark job and its dependencies from a rendered overlay.

Taken from what kustomize renders, so names, hashes and images are those of the whole overlay: where that runs already,
nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from logsluice.errors import LogsluiceError

Manifest = dict[str, Any]

_APPLICATIONS = ("SparkApplication", "ScheduledSparkApplication")
_IMAGE = "logsluice"
_BUCKET = "logsluice-bucket"
_REGION = "logsluice-region"


def application_manifests(objects: Sequence[Manifest], job: str) -> list[Manifest]:
    """A job and what it names: its namespace, accounts and their rights, ConfigMaps and volumes.

    The secrets that it names are written by operators, and brought by the deployment ``spark-secrets``.

    Raises:
        LogsluiceError: The overlay has no such job; which it has is said.
    """
    applications = {item["metadata"]["name"]: item for item in objects if item["kind"] in _APPLICATIONS}
    if job not in applications:
        raise LogsluiceError(
            "no such job among the manifests",
            where=job,
            hint=f"there are {', '.join(sorted(applications))}" if applications else "render an overlay with kustomize",
        )
    application = applications[job]
    namespace = application["metadata"]["namespace"]
    selected = set(_named(application)) | {("Namespace", namespace)}
    there = [item for item in objects if item["metadata"].get("namespace", namespace) == namespace]
    for item in there:
        if item["kind"] == "RoleBinding" and any(
            ("ServiceAccount", subject["name"]) in selected and subject["namespace"] == namespace
            for subject in item["subjects"]
        ):
            selected |= {(item["kind"], item["metadata"]["name"]), ("Role", item["roleRef"]["name"])}
    return [item for item in there if (item["kind"], item["metadata"]["name"]) in selected] + [application]


def _named(application: Manifest) -> Iterator[tuple[str, str]]:
    spec = application["spec"].get("template", application["spec"])
    for role in ("driver", "executor"):
        yield "ServiceAccount", spec[role]["serviceAccount"]
        pod = spec[role]["template"]["spec"]
        for container in pod["containers"]:
            for source in container.get("envFrom", []):
                yield "ConfigMap", source["configMapRef"]["name"]
        for volume in pod["volumes"]:
            if "configMap" in volume:
                yield "ConfigMap", volume["configMap"]["name"]
            if "persistentVolumeClaim" in volume:
                yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]


def fill_placeholders(value: Any, *, image: str | None, bucket: str | None, region: str | None) -> Any:
    """Manifests with image, bucket and region where they leave places for them, as a stack of Pulumi's fills them."""
    if isinstance(value, str):
        for place, fact in ((_BUCKET, bucket), (_REGION, region)):
            value = value.replace(place, fact) if fact else value
        return value
    if isinstance(value, list):
        return [fill_placeholders(item, image=image, bucket=bucket, region=region) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: image
        if image and key == "image" and str(item).partition(":")[0] == _IMAGE
        else fill_placeholders(item, image=image, bucket=bucket, region=region)
        for key, item in value.items()
    }
