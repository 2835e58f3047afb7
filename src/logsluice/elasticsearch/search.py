"""Search for events in the results index."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from elastic_transport import TransportError
from elasticsearch import ApiError, BadRequestError, NotFoundError

from logsluice.elasticsearch.client import connect, describe_error, server_error
from logsluice.elasticsearch.queries import NEWEST_FIRST, at_least, text_query
from logsluice.errors import LogsluiceError
from logsluice.event.ecs import LEVELS
from logsluice.settings import Settings

MARK_BEGIN, MARK_END = "\ue000", "\ue001"
"""Stand around a highlighted word; from Unicode's private area, so that no message holds them by accident."""

_SINCE = re.compile(r"(\d+)([smhdw])")
_MESSAGE_LENGTH = 300
# The most characters of a message that are looked through for words to highlight.
_HIGHLIGHT_LENGTH = 100_000

HIGHLIGHT: Final[dict[str, Any]] = {
    "pre_tags": [MARK_BEGIN],
    "post_tags": [MARK_END],
    "max_analyzed_offset": _HIGHLIGHT_LENGTH,
    "fields": {
        "message": {
            "number_of_fragments": 1,
            "fragment_size": _MESSAGE_LENGTH,
            "no_match_size": _MESSAGE_LENGTH,
            "require_field_match": False,
        }
    },
}
"""What of a message is shown: the part around the words that were found, with marks around them."""

# What the table shows in columns of its own, or what describes the record rather than what happened.
_NOT_FACTS = (
    "@timestamp",
    "message",
    "log.level",
    "service.name",
    "event.dataset",
    "event.id",
    "event.original",
    "error.stack_trace",
    "labels.ecs.version",
    "tags",
)
_NOT_FACT_GROUPS = ("kafka.", "logsluice.")


@dataclass(frozen=True)
class Search:
    """What is looked for.

    Attributes:
        query: In Lucene's query syntax (``payment AND user.id:48213``); several words are all to be found.
        since: Only events that happened in that last stretch of time, such as ``15m``.
        level: Only events of that level or a worse one.
    """

    query: str
    since: str | None = None
    level: str | None = None
    size: int = 20


class Hit(NamedTuple):
    """An event without ``event.original``, and the part of its message around what was found, with marks."""

    document: dict[str, Any]
    message: str


class Found(NamedTuple):
    """The newest events that were found, newest first, of how many at least, up to 10,000.

    ``older`` is how many more there are when ``since`` is left out; counted only when nothing was found.
    """

    hits: list[Hit]
    total: int
    older: int


def search(settings: Settings, request: Search) -> Found:
    """Find events in the results index, newest first.

    Raises:
        LogsluiceError: The query is wrong, there is no index yet, or the server does not answer.
    """
    server = settings.elasticsearch
    body = build_query(request)
    client = connect(server).options(request_timeout=30)
    try:
        answer = client.search(index=settings.results_index, **body).body
        older = 0
        if not answer["hits"]["hits"] and request.since:
            everything = build_query(Search(request.query, level=request.level))["query"]
            older = client.count(index=settings.results_index, query=everything)["count"]
    except (ApiError, TransportError) as error:
        raise _search_error(error, settings, request) from None
    finally:
        client.close()
    return Found([_hit(entry) for entry in answer["hits"]["hits"]], answer["hits"]["total"]["value"], older)


def build_query(request: Search) -> dict[str, Any]:
    """The body of the request, in Elasticsearch's query language.

    Raises:
        LogsluiceError: ``since`` or ``level`` cannot be read.
    """
    filters: list[dict[str, Any]] = []
    if request.since is not None:
        if not _SINCE.fullmatch(request.since):
            raise LogsluiceError(
                "not a stretch of time", where=f"--since {request.since}", hint="write 30s, 15m, 6h or 2d"
            )
        filters.append({"range": {"@timestamp": {"gte": f"now-{request.since}"}}})
    if request.level is not None:
        if request.level not in LEVELS:
            raise LogsluiceError("not a level", where=f"--level {request.level}", hint=f"one of {', '.join(LEVELS)}")
        filters.append(at_least(request.level))
    return {
        "query": {"bool": {"must": [text_query(request.query)], "filter": filters}},
        "sort": [NEWEST_FIRST],
        "size": request.size,
        "source_excludes": ["event.original"],
        "highlight": HIGHLIGHT,
    }


def facts(document: Mapping[str, Any]) -> dict[str, Any]:
    """What was found in an event beyond what the table's own columns show, by dotted name."""
    return {
        name: value
        for name, value in _flat(document, "")
        if name not in _NOT_FACTS and not name.startswith(_NOT_FACT_GROUPS)
    }


def _flat(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, content in value.items():
        if isinstance(content, Mapping):
            yield from _flat(content, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", content


def _hit(entry: dict[str, Any]) -> Hit:
    return Hit(entry["_source"], found_part(entry))


def found_part(entry: Mapping[str, Any]) -> str:
    """The part of a hit's message around what was found, with marks around the words."""
    fragments = entry.get("highlight", {}).get("message")
    return crop(fragments[0] if fragments else str(entry["_source"].get("message", "")))


def crop(message: str, length: int = _MESSAGE_LENGTH) -> str:
    """So much of a message around its first marked word; the server breaks at sentences alone, however long."""
    if len(message) <= length:
        return message
    start = max(0, message.find(MARK_BEGIN) - length // 3)
    return ("…" if start else "") + message[start : start + length] + ("…" if start + length < len(message) else "")


def _search_error(error: ApiError | TransportError, settings: Settings, request: Search) -> LogsluiceError:
    if isinstance(error, NotFoundError):
        return LogsluiceError(
            "there are no results yet",
            where=settings.results_index,
            hint="`logsluice setup` makes it ready, and the regex job fills it",
        )
    if isinstance(error, BadRequestError):
        return LogsluiceError(
            "the query cannot be read", where=request.query, why=innermost_reason(error.body) or describe_error(error)
        )
    return server_error(error, settings.elasticsearch.hosts)


def innermost_reason(body: object) -> str:
    """The first line of a refused request's innermost reason, which names place and character; or nothing.

    ``body`` is the server's answer; of a search among several, that search's.
    """
    cause: Any = body.get("error") if isinstance(body, Mapping) else None
    if isinstance(cause, dict) and cause.get("failed_shards"):
        cause = cause["failed_shards"][0].get("reason", cause)
    reason = ""
    while isinstance(cause, dict):
        reason = str(cause.get("reason", reason))
        cause = cause.get("caused_by")
    return reason.splitlines()[0] if reason else ""
