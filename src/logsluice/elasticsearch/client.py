"""A client of Elasticsearch: made from the settings, its errors classified and put into words, and waited for while
the server is away.

Only the HTTP protocol is used, and of it only what every server speaks: `GET /` is not used, as a server
that consists of Elasticsearch's core alone answers it differently.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from threading import Event
from typing import Any, TypeVar
from urllib.parse import urlsplit

from elastic_transport import ConnectionError as TransportConnectionError
from elastic_transport import ConnectionTimeout, OrjsonSerializer, TlsError, TransportError
from elasticsearch import ApiError, Elasticsearch
from elasticsearch.serializer import CompatibilityModeNdjsonSerializer

from logsluice.errors import LogsluiceError
from logsluice.runtime.retry import RetryContext, retry_on_unavailable
from logsluice.settings import ElasticsearchSettings

T = TypeVar("T")

_REQUEST_SECONDS = 60.0
_LONGEST_REASON = 1_000
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_JSON = "application/vnd.elasticsearch+json"
_LINES = "application/vnd.elasticsearch+x-ndjson"


class ServerBusyError(Exception):
    """The server answered that it cannot do this now."""


class _ReadyLines(CompatibilityModeNdjsonSerializer):
    """Lines that are bytes already go as they are: the client would copy them, and end what is compressed with one."""

    def dumps(self, data: Any) -> bytes:
        return data if isinstance(data, bytes) else super().dumps(data)


def connect(settings: ElasticsearchSettings, *, compress: bool = True) -> Elasticsearch:
    """A client for one process; it does not repeat requests by itself, as waiting is done and logged here.

    Args:
        compress: Whether the client is to compress what goes over a network; otherwise its user may.

    Raises:
        LogsluiceError: The hosts are not URLs, or the file of trusted certificates is not there.
    """
    options = client_options(settings)
    options["http_compress"] &= compress
    return Elasticsearch(**options, connections_per_node=1)


@contextmanager
def connected(settings: ElasticsearchSettings) -> Iterator[Elasticsearch]:
    """A client for a user who waits: a request that fails raises the error of :func:`server_error`."""
    with closing(connect(settings)) as client:
        try:
            yield client
        except (ApiError, TransportError) as error:
            raise server_error(error, settings.hosts) from None


def client_options(settings: ElasticsearchSettings) -> dict[str, Any]:
    """How a client of Elasticsearch, of either kind, reaches the servers; it repeats nothing by itself.

    Raises:
        LogsluiceError: The hosts are not URLs, or the file of trusted certificates is not there.
    """
    hosts = _hosts(settings)
    for host in hosts:
        if urlsplit(host).scheme not in ("http", "https") or not urlsplit(host).hostname:
            raise LogsluiceError(
                "not the URL of a server", where=host, hint="write elasticsearch.hosts as http://HOST:PORT"
            )
    options: dict[str, Any] = {}
    if settings.username and settings.password:
        options["basic_auth"] = (settings.username, settings.password.get_secret_value())
    if settings.ca_certs:
        if not settings.ca_certs.is_file():
            raise LogsluiceError("no such file", where=str(settings.ca_certs), why="elasticsearch.ca_certs")
        options["ca_certs"] = str(settings.ca_certs)
    return options | {
        "hosts": [
            host if urlsplit(host).port else f"{host}:{443 if host.startswith('https') else 80}" for host in hosts
        ],
        "request_timeout": _REQUEST_SECONDS,
        "max_retries": 0,
        "http_compress": is_compressed(settings),
        "serializers": {_JSON: OrjsonSerializer(), "application/json": OrjsonSerializer(), _LINES: _ReadyLines()},
    }


def is_compressed(settings: ElasticsearchSettings) -> bool:
    """Whether requests are worth compressing: where a network is between here and the servers."""
    return any(urlsplit(host).hostname not in LOOPBACK for host in _hosts(settings))


def _hosts(settings: ElasticsearchSettings) -> list[str]:
    return [host.strip() for host in settings.hosts.split(",")]


def is_unavailable(error: BaseException) -> bool:
    """Whether an error means that the server, or a shard of it, is down, starting or busy: try again."""
    if isinstance(error, TlsError):
        return not any(is_certificate_error(cause) for cause in error.errors)
    if isinstance(error, TransportConnectionError | ConnectionTimeout | ServerBusyError):
        return True
    return isinstance(error, ApiError) and is_temporary(error.meta.status, _error_object(error.body).get("type", ""))


def describe_error(error: BaseException) -> str:
    """The server's words about an error, on one line."""
    if isinstance(error, ApiError):
        detail = _error_object(error.body)
        return f"{error.meta.status} {error_chain(detail) if detail else error.message}"
    return str(error.message) if isinstance(error, TransportError) else str(error)


def refusal(error: ApiError | TlsError, where: str) -> LogsluiceError:
    """The error for a user where the server answered, but will not do it."""
    if isinstance(error, TlsError):
        return LogsluiceError(
            "its certificate is not trusted",
            where=where,
            why=str(error.errors[0]) if error.errors else None,
            hint="name the authority's PEM file in elasticsearch.ca_certs",
        )
    hint = "check elasticsearch.username and elasticsearch.password" if error.meta.status in (401, 403) else None
    return LogsluiceError("Elasticsearch refuses", where=where, why=describe_error(error), hint=hint)


def no_answer(error: ApiError | TransportError, where: str) -> LogsluiceError:
    """The error for a user who waits for an answer that does not come."""
    return LogsluiceError(
        "Elasticsearch does not answer",
        where=where,
        why=describe_error(error),
        hint="`logsluice status` says how the local one is",
    )


def server_error(error: ApiError | TransportError, where: str) -> LogsluiceError:
    """The error for a user whose request failed: that it was refused, or that no answer came."""
    return refusal(error, where) if isinstance(error, ApiError | TlsError) else no_answer(error, where)


def retry_request(
    request: Callable[[], T],
    settings: ElasticsearchSettings,
    *,
    job: str,
    stop: Event | None = None,
) -> T:
    """What the server answers to a request that is safe to do twice, waited for while it is unavailable.

    Raises:
        LogsluiceError: The server refuses, or its certificate is not trusted.
        StoppedError: ``stop`` was set.
    """
    context = RetryContext("elasticsearch", settings.hosts, job, stop=stop, describe_error=describe_error)
    try:
        return retry_on_unavailable(request, is_unavailable, context)
    except (ApiError, TlsError) as error:
        raise refusal(error, settings.hosts) from None


def wait_until_up(
    client: Elasticsearch, settings: ElasticsearchSettings, *, job: str, stop: Event | None = None
) -> None:
    """Come back when the server answers; says every now and then that it does not.

    Raises:
        LogsluiceError: It refuses the credentials, or its certificate is not trusted.
        StoppedError: ``stop`` was set.
    """
    retry_request(client.cluster.health, settings, job=job, stop=stop)


def wait_for_templates(
    client: Elasticsearch,
    settings: ElasticsearchSettings,
    names: Sequence[str],
    *,
    job: str,
    stop: Event | None = None,
) -> None:
    """Come back when ``logsluice setup`` has put these index templates there.

    Without its template a dated index would be made with guessed mappings and outside its alias.

    Raises:
        LogsluiceError: The server refuses the credentials, or its certificate is not trusted.
        StoppedError: ``stop`` was set.
    """

    def check() -> None:
        missing = [name for name in names if not client.indices.exists_index_template(name=name)]
        if missing:
            raise ServerBusyError(f"no index template {', '.join(missing)}; `logsluice setup` makes it")

    retry_request(check, settings, job=job, stop=stop)


def common_modules(client: Elasticsearch) -> frozenset[str]:
    """The modules that every node has: what the server can do beyond Elasticsearch's core."""
    nodes = client.nodes.info(metric="plugins", filter_path="nodes.*.modules.name")["nodes"].values()
    return frozenset.intersection(*(frozenset(module["name"] for module in node["modules"]) for node in nodes))


def is_temporary(status: int, kind: str | None) -> bool:
    """Whether it pays to wait: overload, restart, a missing index, a block (read-only or full disk)."""
    return status == 429 or status >= 500 or kind in ("cluster_block_exception", "index_not_found_exception")


def _error_object(body: object) -> dict[str, Any]:
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def error_chain(error: dict[str, Any]) -> str:
    """An error and its causes, outermost first, cut to a length that a header can carry."""
    words = []
    cause: dict[str, Any] | None = error
    while cause:
        words.append(f"{cause.get('type')}: {cause.get('reason')}")
        cause = cause.get("caused_by")
    return " ".join("; ".join(words).split())[:_LONGEST_REASON]


def is_certificate_error(error: BaseException | None) -> bool:
    """Whether a certificate is behind an error; the HTTP library wraps it in errors of its own."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        inner = getattr(error, "reason", None)
        inner = inner if isinstance(inner, BaseException) else (error.__cause__ or error.__context__)
        error = inner or next((item for item in error.args if isinstance(item, BaseException)), None)
    return False
