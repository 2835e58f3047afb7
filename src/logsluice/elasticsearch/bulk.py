"""Bulk writes of ready-made JSON documents to Elasticsearch; waits while the server is away, busy or read-only."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from threading import Event
from typing import Literal, NamedTuple, TypeAlias

import orjson
from elasticsearch import ApiError, Elasticsearch

from logsluice.elasticsearch.client import (
    ServerBusyError,
    connect,
    describe_error,
    error_chain,
    is_compressed,
    is_temporary,
    retry_request,
)
from logsluice.errors import LogsluiceError
from logsluice.settings import ElasticsearchSettings

_CHUNK_BYTES = 5_000_000
_CHUNK_ACTIONS = 5_000
# A request is checked as a whole before anything of it is written (400), or is too large for a proxy (413).
_REFUSED_TOGETHER = (400, 413)
# While the server is busy it cuts a request into parts, and tells of each item of a part that this happened to it
# (org.elasticsearch.action.bulk.IncrementalBulkService.addItemLevelFailures, 9.x).
_VALIDATION = "action_request_validation_exception"
# Of every item only what is looked at: a tenth of the whole answer.
_BULK = "/_bulk?filter_path=errors,items.*.status,items.*.error"
_HEADERS = {"accept": "application/json", "content-type": "application/x-ndjson"}
_COMPRESSED = {"accept-encoding": "gzip", "content-encoding": "gzip"}
# Requests a third larger than by the client's own level 9, in less than a third of the time.
_COMPRESSION = 3

_Pending: TypeAlias = "tuple[int, IndexAction, bytes]"
"""An action, its place among all, and the line that tells of it in front of its document."""


@dataclass(slots=True)
class IndexAction:
    """One document to write.

    Attributes:
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
    """A document that the server will never take: its place among the actions, and the server's words."""

    position: int
    action: IndexAction
    reason: str


@dataclass(slots=True)
class BulkOutcome:
    """What became of documents: made or replaced; there already, the same or a newer version; or never to be taken."""

    written: int = 0
    existing: int = 0
    rejected: list[Rejected] = field(default_factory=list)


class BulkWriter:
    """Writes documents in bulk, each once however often it is tried; not for several threads at once."""

    def __init__(
        self,
        settings: ElasticsearchSettings,
        *,
        job: str,
        stop: Event | None = None,
        client: Elasticsearch | None = None,
    ) -> None:
        self.client = client or connect(settings, compress=False)
        self._compressed = is_compressed(settings)
        self._headers = _HEADERS | (_COMPRESSED if self._compressed else {})
        self._settings = settings
        self._job = job
        self._stop = stop

    def write(self, actions: Iterable[IndexAction]) -> BulkOutcome:
        """Write the documents and come back when the server has acknowledged or refused each of them.

        While the server is away, overloaded, out of disk or the index read-only, this waits and says so.

        Raises:
            LogsluiceError: The server refuses the credentials, or its certificate is not trusted.
            StoppedError: The process is to stop while the server is away; what was written stays written.
        """
        outcome = BulkOutcome()
        for chunk in _chunks(actions):
            # What is refused as a whole goes in halves, until the guilty document stands alone.
            parts = [chunk]
            while parts:
                suspects = self._write_part(parts.pop(), outcome)
                middle = len(suspects) // 2
                parts += [part for part in (suspects[middle:], suspects[:middle]) if part]
        outcome.rejected.sort(key=lambda refusal: refusal.position)
        return outcome

    def close(self) -> None:
        """Close the connection."""
        self.client.close()

    def _write_part(self, part: list[_Pending], outcome: BulkOutcome) -> list[_Pending]:
        """Write documents in one request; gives those that the server refused only together."""
        pending = part
        body = self._body(pending)
        suspects: list[_Pending] = []

        def attempt() -> None:
            nonlocal pending, body
            try:
                answer = self.client.perform_request("POST", _BULK, headers=self._headers, body=body).body
            except ApiError as refused:
                if refused.meta.status not in _REFUSED_TOGETHER:
                    raise
                if len(part) == 1:
                    outcome.rejected.append(Rejected(*part[0][:2], describe_error(refused)))
                else:
                    suspects.extend(pending)
                return
            if not answer["errors"]:
                outcome.written += len(pending)
                return
            again: list[_Pending] = []
            busy = ""
            for entry, item in zip(pending, answer["items"], strict=True):
                position, action, _ = entry
                (result,) = item.values()
                status, error = result["status"], result.get("error")
                if error is None:
                    outcome.written += 1
                elif status == 409:
                    outcome.existing += 1
                elif is_temporary(status, error["type"]):
                    again.append(entry)
                    busy = error_chain(error)
                elif status in (401, 403):
                    raise LogsluiceError("Elasticsearch refuses the write", where=action.index, why=error_chain(error))
                elif error["type"] == _VALIDATION and len(part) > 1:
                    suspects.append(entry)
                else:
                    outcome.rejected.append(Rejected(position, action, error_chain(error)))
            if again:
                pending, body = again, self._body(again)
                raise ServerBusyError(busy)

        retry_request(attempt, self._settings, job=self._job, stop=self._stop)
        return suspects

    def _body(self, pending: list[_Pending]) -> bytes:
        body = b"\n".join([*chain.from_iterable((line, action.document) for _, action, line in pending), b""])
        return gzip.compress(body, _COMPRESSION) if self._compressed else body


def _chunks(actions: Iterable[IndexAction]) -> Iterator[list[_Pending]]:
    chunk: list[_Pending] = []
    size = 0
    for position, action in enumerate(actions):
        before, after = _around_id(action.op, action.index, action.version)
        line = before + orjson.dumps(action.id) + after
        length = len(line) + len(action.document) + 2
        if chunk and (size + length > _CHUNK_BYTES or len(chunk) == _CHUNK_ACTIONS):
            yield chunk
            chunk, size = [], 0
        chunk.append((position, action, line))
        size += length
    if chunk:
        yield chunk


@lru_cache(maxsize=1024)
def _around_id(op: str, index: str, version: int | None) -> tuple[bytes, bytes]:
    """What the line that tells what to do with a document has in front of its id and behind it."""
    versioned = b"" if version is None else b',"version":%d,"version_type":"external_gte"' % version
    return b'{"%b":{"_index":%b,"_id":' % (op.encode(), orjson.dumps(index)), versioned + b"}}"
