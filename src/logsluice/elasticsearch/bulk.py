"""Writes ready-made JSON documents to Elasticsearch in bulk; waits while the server is away, busy or
read-only.

Only the HTTP protocol is used, and of it only what every server speaks: `GET /` is not asked, as a server
that consists of Elasticsearch's core alone answers it differently.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import orjson
from elastic_transport import ConnectionError as TransportConnectionError
from elastic_transport import ConnectionTimeout, OrjsonSerializer, TlsError, TransportError
from elasticsearch import ApiError, Elasticsearch

from logsluice.errors import LogsluiceError
from logsluice.runtime.retry import RetryContext, retry_on_unavailable
from logsluice.settings import ElasticsearchSettings

_CHUNK_BYTES = 5_000_000
_CHUNK_ACTIONS = 5_000
_REQUEST_SECONDS = 60.0
_LONGEST_REASON = 1_000
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_JSON = "application/vnd.elasticsearch+json"
# A request is checked as a whole before anything of it is written (400), or is too large for a proxy (413).
_REFUSED_TOGETHER = (400, 413)
# While the server is busy it cuts a request into parts, and tells of each item of a part that this happened to it
# (org.elasticsearch.action.bulk.IncrementalBulkService.addItemLevelFailures, 9.x).
_VALIDATION = "action_request_validation_exception"
# Of every item only what is looked at: a tenth of the whole answer.
_BULK = "/_bulk?filter_path=errors,items.*.status,items.*.error"


@dataclass(slots=True)
class IndexAction:
    """One document to write.

    Attributes:
        index: The dated index.
        id: The document's id.
        op: ``create`` leaves a document that is already there as it is, ``index`` replaces it, ``update`` changes
            some of its fields.
        version: With ``index``: replace only what has this version or an older one (``external_gte``).
        document: The document, as JSON without line breaks; with ``update`` an object of ``doc``, the fields to
            change, and ``upsert``, the document where there is none yet.
    """

    index: str
    id: str
    op: Literal["create", "index", "update"]
    version: int | None
    document: bytes


class Rejected(NamedTuple):
    """A document that the server will never take.

    Attributes:
        position: Its place among the actions that were given to :meth:`BulkWriter.write`.
        action: What was to be written.
        reason: The server's words.
    """

    position: int
    action: IndexAction
    reason: str


class BulkOutcome(NamedTuple):
    """What became of a number of actions.

    Attributes:
        written: Documents made or replaced.
        existing: Documents that were there already: the same, or a newer version.
        rejected: Documents that the server will never take.
    """

    written: int
    existing: int
    rejected: list[Rejected]


class ServerBusy(Exception):  # noqa: N818 - told to the user as what is waited for
    """The server answered that it cannot do this now."""


def connect(settings: ElasticsearchSettings) -> Elasticsearch:
    """A client for one process; it does not repeat requests by itself, as here the waiting is done and said.

    Raises:
        LogsluiceError: The hosts are not URLs, or the file of trusted certificates is not there.
    """
    return Elasticsearch(**client_options(settings), connections_per_node=1)


def client_options(settings: ElasticsearchSettings) -> dict[str, Any]:
    """How a client of Elasticsearch, of either kind, reaches the servers; it repeats nothing by itself.

    Raises:
        LogsluiceError: The hosts are not URLs, or the file of trusted certificates is not there.
    """
    hosts = [host.strip() for host in settings.hosts.split(",")]
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
        "http_compress": any(urlsplit(host).hostname not in _LOOPBACK for host in hosts),
        "serializers": {_JSON: OrjsonSerializer(), "application/json": OrjsonSerializer()},
    }


def is_away(error: BaseException) -> bool:
    """Whether an error means that the server is down, starting or busy: try again."""
    if isinstance(error, TlsError):
        return not any(_is_certificate_error(cause) for cause in error.errors)
    if isinstance(error, TransportConnectionError | ConnectionTimeout | ServerBusy):
        return True
    return isinstance(error, ApiError) and _is_passing(error.meta.status, _error_of(error.body).get("type", ""))


def explain(error: BaseException) -> str:
    """The server's words about an error, on one line."""
    if isinstance(error, ApiError):
        detail = _error_of(error.body)
        return f"{error.meta.status} {_words(detail) if detail else error.message}"
    return str(error.message) if isinstance(error, TransportError) else str(error)


def refusal(error: ApiError | TlsError, where: str) -> LogsluiceError:
    """What a user is told when the server answered, but will not do it."""
    if isinstance(error, TlsError):
        return LogsluiceError(
            "its certificate is not trusted",
            where=where,
            why=str(error.errors[0]) if error.errors else None,
            hint="name the authority's PEM file in elasticsearch.ca_certs",
        )
    hint = "check elasticsearch.username and elasticsearch.password" if error.meta.status in (401, 403) else None
    return LogsluiceError("Elasticsearch refuses", where=where, why=explain(error), hint=hint)


def no_answer(error: ApiError | TransportError, where: str) -> LogsluiceError:
    """What a user is told who waits for an answer that does not come."""
    return LogsluiceError(
        "Elasticsearch does not answer",
        where=where,
        why=explain(error),
        hint="`logsluice status` says how the local one is",
    )


def wait_until_up(
    client: Elasticsearch, settings: ElasticsearchSettings, *, job: str, stop: Event | None = None
) -> None:
    """Come back when the server answers; says every now and then that it does not.

    Raises:
        LogsluiceError: It refuses the credentials, or its certificate is not trusted.
        Stopped: ``stop`` was set.
    """
    try:
        retry_on_unavailable(
            client.cluster.health,
            is_away,
            RetryContext("elasticsearch", settings.hosts, job, stop=stop, describe_error=explain),
        )
    except (ApiError, TlsError) as error:
        raise refusal(error, settings.hosts) from None


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
        Stopped: ``stop`` was set.
    """

    def ask() -> None:
        missing = [name for name in names if not client.indices.exists_index_template(name=name)]
        if missing:
            raise ServerBusy(f"no index template {', '.join(missing)}; `logsluice setup` makes it")

    try:
        retry_on_unavailable(
            ask, is_away, RetryContext("elasticsearch", settings.hosts, job, stop=stop, describe_error=explain)
        )
    except (ApiError, TlsError) as error:
        raise refusal(error, settings.hosts) from None


class BulkWriter:
    """Writes documents in bulk, each once however often it is tried.

    Not for several threads at once.

    Args:
        settings: Where the server is.
        job: The job that writes, as the metrics name it.
        stop: Ends a wait for the server.
        client: Made from the settings where left out.
    """

    def __init__(
        self,
        settings: ElasticsearchSettings,
        *,
        job: str,
        stop: Event | None = None,
        client: Elasticsearch | None = None,
    ) -> None:
        self.client = client or connect(settings)
        self._where = settings.hosts
        self._job = job
        self._stop = stop

    def write(self, actions: Iterable[IndexAction]) -> BulkOutcome:
        """Write the documents and come back when the server has acknowledged or refused each of them.

        While the server is away, overloaded, out of disk or the index read-only, this waits and says so.

        Raises:
            LogsluiceError: The server refuses the credentials, or its certificate is not trusted.
            Stopped: The process is to stop while the server is away; what was written stays written.
        """
        outcome = BulkOutcome(0, 0, [])
        for chunk in _chunks(actions):
            outcome = _sum(outcome, self._write_chunk(chunk))
        return outcome._replace(rejected=sorted(outcome.rejected, key=lambda refusal: refusal.position))

    def close(self) -> None:
        """Close the connection."""
        self.client.close()

    def _write_chunk(self, chunk: list[_Pending]) -> BulkOutcome:
        """Write a chunk; one that is refused as a whole in halves, until the guilty document stands alone."""
        outcome = BulkOutcome(0, 0, [])
        parts = [chunk]
        while parts:
            done, suspects = self._write_part(parts.pop())
            outcome = _sum(outcome, done)
            middle = len(suspects) // 2
            parts += [part for part in (suspects[middle:], suspects[:middle]) if part]
        return outcome

    def _write_part(self, part: list[_Pending]) -> tuple[BulkOutcome, list[_Pending]]:
        """Write documents in one request.

        Returns:
            What became of them, and, where the server refused some only together, those.
        """
        pending = part
        body = b"".join(entry.lines for entry in pending)
        written = existing = 0
        rejected: list[Rejected] = []
        suspects: list[_Pending] = []

        def attempt() -> None:
            nonlocal pending, body, written, existing
            try:
                answer = self._send(body)
            except ApiError as refused:
                if refused.meta.status not in _REFUSED_TOGETHER:
                    raise
                if len(part) == 1:
                    rejected.append(Rejected(part[0].position, part[0].action, explain(refused)))
                else:
                    suspects.extend(pending)
                return
            if not answer["errors"]:
                written += len(pending)
                return
            again: list[_Pending] = []
            busy = ""
            for entry, item in zip(pending, answer["items"], strict=True):
                (result,) = item.values()
                status, error = result["status"], result.get("error")
                if error is None:
                    written += 1
                elif status == 409:
                    existing += 1
                elif _is_passing(status, error["type"]):
                    again.append(entry)
                    busy = _words(error)
                elif status in (401, 403):
                    raise LogsluiceError("Elasticsearch refuses the write", where=entry.action.index, why=_words(error))
                elif error["type"] == _VALIDATION and len(part) > 1:
                    suspects.append(entry)
                else:
                    rejected.append(Rejected(entry.position, entry.action, _words(error)))
            if again:
                pending, body = again, b"".join(entry.lines for entry in again)
                raise ServerBusy(busy)

        try:
            retry_on_unavailable(
                attempt,
                is_away,
                RetryContext("elasticsearch", self._where, self._job, stop=self._stop, describe_error=explain),
            )
        except (ApiError, TlsError) as error:
            raise refusal(error, self._where) from None
        return BulkOutcome(written, existing, rejected), suspects

    def _send(self, body: bytes) -> Any:
        return self.client.perform_request(
            "POST",
            _BULK,
            headers={"accept": "application/json", "content-type": "application/x-ndjson"},
            body=body,
        ).body


def _sum(one: BulkOutcome, other: BulkOutcome) -> BulkOutcome:
    return BulkOutcome(one.written + other.written, one.existing + other.existing, one.rejected + other.rejected)


class _Pending(NamedTuple):
    position: int
    action: IndexAction
    lines: bytes


def _chunks(actions: Iterable[IndexAction]) -> Iterator[list[_Pending]]:
    chunk: list[_Pending] = []
    size = 0
    for position, action in enumerate(actions):
        target: dict[str, str | int] = {"_index": action.index, "_id": action.id}
        if action.version is not None:
            target |= {"version": action.version, "version_type": "external_gte"}
        lines = b"%b\n%b\n" % (orjson.dumps({action.op: target}), action.document)
        if chunk and (size + len(lines) > _CHUNK_BYTES or len(chunk) == _CHUNK_ACTIONS):
            yield chunk
            chunk, size = [], 0
        chunk.append(_Pending(position, action, lines))
        size += len(lines)
    if chunk:
        yield chunk


def _is_passing(status: int, kind: str | None) -> bool:
    """Whether it pays to wait: overload, restart, a missing index, a block (read-only or full disk)."""
    return status == 429 or status >= 500 or kind in ("cluster_block_exception", "index_not_found_exception")


def _error_of(body: object) -> dict[str, Any]:
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _words(error: dict[str, Any]) -> str:
    """An error and its causes, outermost first, cut to a length that a header can carry."""
    words = []
    cause: dict[str, Any] | None = error
    while cause:
        words.append(f"{cause.get('type')}: {cause.get('reason')}")
        cause = cause.get("caused_by")
    return " ".join("; ".join(words).split())[:_LONGEST_REASON]


def _is_certificate_error(error: BaseException | None) -> bool:
    """Whether a certificate is behind an error; the HTTP library wraps it in errors of its own."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        inner = getattr(error, "reason", None)
        inner = inner if isinstance(inner, BaseException) else (error.__cause__ or error.__context__)
        error = inner or next((item for item in error.args if isinstance(item, BaseException)), None)
    return False
