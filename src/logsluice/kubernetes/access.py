"""API clients for a cluster: from the kubeconfig, or from the pod's service account."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import orjson
from kubernetes import config
from kubernetes.client import ApiClient, ApiException
from urllib3.exceptions import HTTPError

from logsluice.errors import LogsluiceError

NAMESPACE = "logsluice"
"""Where logsluice lives, with everything that it reads and writes."""

SPARK_NAMESPACE = "logsluice-spark"
"""Where its Spark jobs run, with nothing but what they need."""

T = TypeVar("T")


@contextmanager
def cluster_client(context: str | None = None) -> Iterator[ApiClient]:
    """A client of the cluster for the length of a ``with`` block.

    Args:
        context: One of the kubeconfig; its current one where left out, and in a pod without KUBECONFIG the pod's
            own cluster.

    Raises:
        LogsluiceError: Nothing says where a cluster is, the context is not there, or, inside of the block, the
            cluster refuses or does not answer.
    """
    try:
        _configure(context)
    except config.ConfigException as error:
        raise LogsluiceError(
            "no cluster to go to",
            where=context,
            why=str(error),
            hint="name a kubeconfig in KUBECONFIG, or one of its contexts by --context",
        ) from None
    with ApiClient() as api:
        # One repetition is enough to pass over a broken connection; who follows a job goes on by itself.
        api.configuration.retries = 1
        try:
            yield api
        except ApiException as error:
            raise LogsluiceError("the cluster refuses", where=api.configuration.host, why=explain(error)) from None
        except HTTPError as error:
            raise LogsluiceError(
                "the cluster does not answer",
                where=api.configuration.host,
                why=str(error.__cause__ or error).split(": ", 1)[-1],
                hint="check the VPN or the port-forward",
            ) from None


def _configure(context: str | None) -> None:
    if context is None and "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ:
        config.load_incluster_config()
    else:
        config.load_kube_config(context=context)


def get_or_none(request: Callable[[], T]) -> T | None:
    """What a question gives, or ``None`` where the cluster knows no such object or no such kind."""
    try:
        return request()
    except ApiException as error:
        if error.status == 404:
            return None
        raise


def is_temporary(error: ApiException | HTTPError) -> bool:
    """Whether an error of the cluster means that it pays to ask again."""
    return not isinstance(error, ApiException) or error.status in (429, 500, 502, 503, 504)


def explain(error: ApiException | HTTPError) -> str:
    """The API server's words, or why there are none."""
    if not isinstance(error, ApiException):
        return str(error)
    try:
        status: dict[str, Any] = orjson.loads(error.body or b"")
        return str(status["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return f"{error.status} {error.reason}"
