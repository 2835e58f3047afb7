"""Copies secrets of the operators into Spark's namespace, and keeps them up to date.

Strimzi writes a user's password where it watches users, ECK its authority's certificate where Elasticsearch is. A pod
may read every secret of its namespace that it names, so Spark's has copies of the few keys that its jobs use, and of
no other. A renewed password or certificate is carried over by the next round.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import structlog
import typer
from kubernetes.client import ApiClient, ApiException, CoreV1Api
from urllib3.exceptions import HTTPError

from logsluice.errors import LogsluiceError
from logsluice.kubernetes.access import cluster_client, explain, get_or_none, is_temporary
from logsluice.runtime.entrypoint import run_job
from logsluice.runtime.retry import stop_on_signals

_FIELD_MANAGER = "logsluice-secrets"
_LABELS = {
    "app.kubernetes.io/component": "spark",
    "app.kubernetes.io/part-of": "logsluice",
    "app.kubernetes.io/managed-by": _FIELD_MANAGER,
}
_APPLY = "application/apply-patch+yaml"
_NAME = r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"
_COPY = re.compile(rf"(?P<source>{_NAME}):(?P<key>[-._a-zA-Z0-9]+)(:(?P<target>{_NAME}))?")

log = structlog.get_logger(__name__)


class Copy(NamedTuple):
    """One key of a secret, and the secret that holds it alone elsewhere.

    Attributes:
        key: The key, the same in both.
    """

    source: str
    key: str
    target: str


def parse_copy(text: str) -> Copy:
    """A copy as the command line says it: ``SECRET:KEY`` or ``SECRET:KEY:TARGET``.

    Raises:
        LogsluiceError: It is neither.
    """
    parts = _COPY.fullmatch(text)
    if parts is None:
        raise LogsluiceError("no copy of a secret", where=text, hint="say SECRET:KEY, or SECRET:KEY:NAME-THERE")
    return Copy(parts["source"], parts["key"], parts["target"] or parts["source"])


def copy_secrets(api: ApiClient, copies: Sequence[Copy], *, source: str, target: str) -> tuple[list[Copy], list[Copy]]:
    """Bring each key to where it is needed, where it is not there already as it is.

    Returns:
        What was written, and what its operator has not written yet.

    Raises:
        ApiException: The cluster refuses.
        HTTPError: It does not answer.
    """
    core = CoreV1Api(api)
    written: list[Copy] = []
    missing: list[Copy] = []
    for copy in copies:
        value = _value(core, copy.source, copy.key, source)
        if value is None:
            missing.append(copy)
        elif value != _value(core, copy.target, copy.key, target):
            _apply(core, copy, value, target)
            written.append(copy)
    return written, missing


def _value(core: CoreV1Api, name: str, key: str, namespace: str) -> str | None:
    """A key's value in base 64; ``None`` where the secret or the key is not there."""
    secret = get_or_none(lambda: core.read_namespaced_secret(name, namespace))
    return (secret.data or {}).get(key) if secret is not None else None


def _apply(core: CoreV1Api, copy: Copy, value: str, namespace: str) -> None:
    """Server-side, because its right to create can be given for names, as that of a POST cannot."""
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": copy.target,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": copy.target} | _LABELS,
        },
        "type": "Opaque",
        "data": {copy.key: value},
    }
    core.patch_namespaced_secret(
        copy.target, namespace, body, field_manager=_FIELD_MANAGER, force=True, _content_type=_APPLY
    )


def sync_secrets(
    copies: Annotated[list[str], typer.Argument(metavar="SECRET:KEY[:NAME-THERE]...", help="What to bring.")],
    source: Annotated[str, typer.Option(help="The namespace that has the secrets.")],
    target: Annotated[str, typer.Option(help="The namespace that gets them.")],
    every: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Time between two looks.")] = 10.0,
) -> None:
    """Bring secrets from one namespace to another, and whatever becomes of them there too, until told to stop."""
    parsed = [parse_copy(text) for text in copies]
    stop = stop_on_signals()
    unwritten: list[Copy] = []
    with cluster_client() as api:
        while not stop.is_set():
            try:
                written, missing = copy_secrets(api, parsed, source=source, target=target)
            except (HTTPError, ApiException) as error:
                if not is_temporary(error):
                    raise
                log.warning("waiting for the cluster", reason=explain(error))
            else:
                for copy in written:
                    log.info("brought", secret=copy.source, key=copy.key, to=f"{target}/{copy.target}")
                if missing and missing != unwritten:
                    log.info("waiting for secrets that are not written yet", secrets=[copy.source for copy in missing])
                unwritten = missing
            stop.wait(every)


if __name__ == "__main__":
    run_job(sync_secrets)
