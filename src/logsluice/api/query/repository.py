"""Reads and writes events in Elasticsearch; its errors become problem details."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any, Final, Literal

import structlog
from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch, ConflictError, NotFoundError

from logsluice.api.problems import ProblemError, unavailable
from logsluice.elasticsearch.client import describe_error, is_unavailable
from logsluice.elasticsearch.queries import IF_THERE
from logsluice.elasticsearch.search import innermost_reason
from logsluice.runtime import metrics

Kind = Literal["list", "get", "search", "stats", "tail", "merge"]
"""The kind of a query, as the metrics name it."""

AGAIN_SECONDS: Final = 5
_GRACE_SECONDS: Final = 2.0
_GET_SECONDS: Final = 5.0

log = structlog.get_logger(__name__)


class EventRepository:
    """The questions that the routes ask; a search may take so many seconds."""

    def __init__(self, client: AsyncElasticsearch, seconds: float) -> None:
        self.seconds = seconds
        self._client = client
        self._searching = client.options(request_timeout=seconds + _GRACE_SECONDS)
        self._getting = client.options(request_timeout=_GET_SECONDS)

    async def search(self, index: str, body: dict[str, Any], kind: Kind) -> dict[str, Any]:
        """What a search finds; an alias that is not there yet is one with nothing behind it.

        Raises:
            ProblemError: 400 for a query that cannot be read, 503 while the server is away, 504 where it takes too
                long.
        """
        with _problems(kind):
            answer = await self._searching.search(index=index, body=body, **IF_THERE)
        found: dict[str, Any] = answer.body
        if found["timed_out"]:
            metrics.API_QUERIES.labels(kind, "timeout").inc()
            raise ProblemError(
                HTTPStatus.GATEWAY_TIMEOUT,
                f"the search took longer than {self.seconds:g} s; ask for a shorter time, or for fewer wildcards",
            )
        if found["_shards"]["failed"]:
            reason = innermost_reason({"error": {"failed_shards": found["_shards"]["failures"]}})
            log.warning("a search failed in part", reason=reason)
            metrics.API_QUERIES.labels(kind, "away").inc()
            raise unavailable(f"a part of the index cannot be read: {reason}", AGAIN_SECONDS)
        metrics.API_QUERIES.labels(kind, "answered").inc()
        return found

    async def document(self, index: str, event_id: str) -> dict[str, Any] | None:
        """A document and what the server knows of it (``_version``, ``_seq_no``); None where there is none.

        Raises:
            ProblemError: 503 while the server is away.
        """
        found: dict[str, Any] | None = None
        with _problems("get"), suppress(NotFoundError):
            found = (await self._getting.get(index=index, id=event_id)).body
        metrics.API_QUERIES.labels("get", "answered").inc()
        return found

    async def write(self, index: str, event_id: str, document: dict[str, Any], **condition: Any) -> bool:
        """Write a document to its dated index on a condition (``if_seq_no`` and ``if_primary_term``, or ``version`` and
        ``version_type``); whether it held.

        Raises:
            ProblemError: 400 for a document that the server will never take, 503 while it is away.
        """
        with _problems("merge"), suppress(ConflictError):
            await self._getting.index(index=index, id=event_id, document=document, **condition)
            metrics.API_QUERIES.labels("merge", "answered").inc()
            return True
        return False

    async def checkpoints(self, indices: Sequence[str]) -> dict[str, int]:
        """By index, the number up to which every write is in place; indices that are not there are left out.

        Raises:
            ProblemError: 503 while the server is away.
        """
        with _problems("tail"):
            answer = await self._getting.indices.stats(
                # A name with a wildcard may stand for nothing; a plain one that is not there would be an error.
                index=[f"{index}*" for index in indices],
                level="shards",
                metric="docs",
                filter_path="indices.*.shards.*.seq_no,indices.*.shards.*.routing.primary",
            )
        found: dict[str, Any] = answer.body.get("indices", {})
        return {
            name: max(copy["seq_no"]["global_checkpoint"] for copies in entry["shards"].values() for copy in copies)
            for name, entry in found.items()
        }


@contextmanager
def _problems(kind: Kind) -> Iterator[None]:
    """Raise an error of Elasticsearch as problem details."""
    try:
        yield
    except (ApiError, TransportError) as error:
        raise _problem(error, kind) from None


def _problem(error: ApiError | TransportError, kind: Kind) -> ProblemError:
    if is_unavailable(error):
        metrics.API_QUERIES.labels(kind, "away").inc()
        return unavailable("Elasticsearch does not answer; ask again in a moment", AGAIN_SECONDS)
    if isinstance(error, ApiError) and error.meta.status == HTTPStatus.BAD_REQUEST:
        metrics.API_QUERIES.labels(kind, "refused").inc()
        reason = innermost_reason(error.body) or describe_error(error)
        return ProblemError(HTTPStatus.BAD_REQUEST, f"Elasticsearch cannot read this: {reason}")
    # A wrong password or certificate concerns no client, but whoever runs this.
    log.error("Elasticsearch refuses", reason=describe_error(error))
    metrics.API_QUERIES.labels(kind, "away").inc()
    return unavailable("Elasticsearch refuses this API; its log says why", AGAIN_SECONDS)
