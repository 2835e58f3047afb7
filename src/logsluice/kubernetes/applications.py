"""Single runs of a job, made from the manifest that deploys it.

The manifest is taken from the cluster, not from a file: image, configuration and secrets are then those that
were deployed, whoever asks.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from datetime import datetime
from threading import Event
from typing import Any, NamedTuple

import structlog
from kubernetes.client import ApiClient, ApiException, CoreV1Api, CustomObjectsApi
from urllib3.exceptions import HTTPError

from logsluice.errors import LogsluiceError
from logsluice.kubernetes.access import explain, get_or_none, is_temporary

GROUP = "sparkoperator.k8s.io"
VERSION = "v1beta2"
APPLICATIONS = "sparkapplications"
SCHEDULED = "scheduledsparkapplications"

_POLL_SECONDS = 2.0
_SUBMITTED = "logsluice-submit"
_TTL_SECONDS = 24 * 60 * 60
_LOG_LINES = 20
_LONGEST_NAME = 63 - len("-driver-svc")
_ENDED = {"COMPLETED", "FAILED"}

Manifest = dict[str, Any]

log = structlog.get_logger(__name__)


class Run(NamedTuple):
    """How a run stands.

    Attributes:
        name: The SparkApplication's name.
        state: The operator's word for it, such as ``RUNNING``; ``NEW`` before it said anything.
        message: Why it failed.
        driver: The driver's pod, once there is one.
    """

    name: str
    state: str
    message: str
    driver: str

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in _ENDED

    @property
    def succeeded(self) -> bool:
        """Whether it did what it was to do."""
        return self.state == "COMPLETED"


def with_options(arguments: Sequence[str], options: Sequence[tuple[str, str]]) -> list[str]:
    """Arguments in which each option has the value that is wanted, where it stood or at the end."""
    words = list(arguments)
    for name, value in options:
        if name in words[:-1]:
            words[words.index(name) + 1] = value
        else:
            words += [name, value]
    return words


def run_manifest(job: str, spec: Manifest, arguments: Sequence[str], *, namespace: str, now: datetime) -> Manifest:
    """A manifest that runs a job once.

    Args:
        arguments: The job's, instead of those of ``spec``.
        now: Part of the name, to the second.

    Raises:
        LogsluiceError: The job would write to the checkpoint of the one that runs already.
    """
    if "--mode" in arguments and arguments[arguments.index("--mode") + 1] != "batch":
        raise LogsluiceError(
            "runs already, and two would share its checkpoint", where=job, hint="say --mode batch for a run beside it"
        )
    suffix = now.strftime("-%Y%m%d%H%M%S")
    labels = {
        "app.kubernetes.io/name": job,
        "app.kubernetes.io/component": "spark",
        "app.kubernetes.io/part-of": "logsluice",
        "app.kubernetes.io/managed-by": _SUBMITTED,
    }
    once = {"arguments": list(arguments), "restartPolicy": {"type": "Never"}, "timeToLiveSeconds": _TTL_SECONDS}
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "SparkApplication",
        "metadata": {
            "name": job[: _LONGEST_NAME - len(suffix)] + suffix,
            "namespace": namespace,
            "labels": labels,
        },
        "spec": copy.deepcopy(spec) | once,
    }


def deployed_spec(api: ApiClient, job: str, *, namespace: str) -> Manifest:
    """What runs a job in the cluster: the spec of its SparkApplication, or of the template of its schedule.

    Raises:
        LogsluiceError: There is no such job; which there are is said.
    """
    if application := _application(api, APPLICATIONS, job, namespace):
        spec: Manifest = application["spec"]
        return spec
    if scheduled := _application(api, SCHEDULED, job, namespace):
        template: Manifest = scheduled["spec"]["template"]
        return template
    names = sorted(
        item["metadata"]["name"]
        for plural in (APPLICATIONS, SCHEDULED)
        for item in list_custom_objects(api, GROUP, VERSION, plural, namespace=namespace)
        if not _is_run(item)
    )
    raise LogsluiceError(
        "no such job in the cluster",
        where=f"{namespace}/{job}",
        hint=f"there are {', '.join(names)}" if names else "deploy first: kubectl apply -k k8s/overlays/dev",
    )


def _is_run(application: Manifest) -> bool:
    """Whether an application is one run, of ours or of a schedule, rather than a job."""
    labels = application["metadata"].get("labels", {})
    return (
        labels.get("app.kubernetes.io/managed-by") == _SUBMITTED or "sparkoperator.k8s.io/scheduled-app-name" in labels
    )


def list_custom_objects(api: ApiClient, group: str, version: str, plural: str, *, namespace: str) -> list[Manifest]:
    """All custom resources of a kind in a namespace; none where the cluster does not know the kind."""
    kind = (group, version, namespace, plural)
    answer: Manifest | None = get_or_none(lambda: CustomObjectsApi(api).list_namespaced_custom_object(*kind))
    return list(answer["items"]) if answer is not None else []


def _application(api: ApiClient, plural: str, name: str, namespace: str) -> Manifest | None:
    one = (GROUP, VERSION, namespace, plural, name)
    found: Manifest | None = get_or_none(lambda: CustomObjectsApi(api).get_namespaced_custom_object(*one))
    return found


def create(api: ApiClient, manifest: Manifest) -> str:
    """Hand a run to the operator and give its name."""
    created = CustomObjectsApi(api).create_namespaced_custom_object(
        GROUP, VERSION, manifest["metadata"]["namespace"], APPLICATIONS, manifest
    )
    return str(created["metadata"]["name"])


def follow(api: ApiClient, name: str, *, namespace: str, stop: Event) -> Iterator[Run]:
    """Give a run whenever its state is another, the last time when it has ended or ``stop`` is set.

    A cluster that does not answer for a while is asked again and again.

    Raises:
        LogsluiceError: The run was deleted.
    """
    last: Run | None = None
    while not stop.is_set():
        try:
            application = _application(api, APPLICATIONS, name, namespace)
        except (HTTPError, ApiException) as error:
            if not is_temporary(error):
                raise
            log.warning("waiting for the cluster", reason=explain(error))
        else:
            if application is None:
                raise LogsluiceError("was deleted", where=f"{namespace}/{name}")
            run = run_status(application)
            if run != last:
                yield run
                last = run
            if run.ended:
                return
        stop.wait(_POLL_SECONDS)


def run_status(application: Manifest) -> Run:
    """How a SparkApplication stands."""
    status = application.get("status", {})
    state = status.get("applicationState", {})
    return Run(
        application["metadata"]["name"],
        state.get("state") or "NEW",
        " ".join(state.get("errorMessage", "").split()),
        status.get("driverInfo", {}).get("podName", ""),
    )


def driver_log_tail(api: ApiClient, run: Run, *, namespace: str) -> list[str]:
    """The end of the driver's log; nothing where its pod is gone."""
    if not run.driver:
        return []
    text = get_or_none(lambda: CoreV1Api(api).read_namespaced_pod_log(run.driver, namespace, tail_lines=_LOG_LINES))
    return str(text).splitlines() if text else []
