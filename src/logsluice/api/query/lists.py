"""Events in pages: their ids, themselves, and by full text."""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from logsluice.api.query.cursors import Position, write_cursor
from logsluice.api.query.lucene import LONGEST_QUERY, check_query, text_condition
from logsluice.api.query.parameters import (
    FIELD_PARAMETERS,
    Cursor,
    EndTime,
    FilterParameters,
    PageNumber,
    PageSize,
    Paging,
    StartTime,
    TimeRange,
    read_paging,
    read_time_range,
    refuse_others,
)
from logsluice.api.query.responses import (
    MAY_QUERY,
    SETTLED_SECONDS,
    Document,
    cached_response,
    response_schemas,
)
from logsluice.api.resources import Resources, ResourcesOf
from logsluice.elasticsearch.queries import Body, every
from logsluice.elasticsearch.search import HIGHLIGHT, MARK_BEGIN, MARK_END, found_part
from logsluice.event.moments import iso

router = APIRouter(tags=["query"])

_PAGING: Final = ("page", "size", "cursor")
_LIST: Final = ("startTime", "endTime", *_PAGING)
_LOGS: Final = (*_LIST, "level", "minLevel", "source")
_SEARCH: Final = (*_LOGS, "query")
# Hits are counted exactly up to here.
_MOST_COUNTED: Final = 10_000
_SORT: Final[list[Body]] = [
    {"@timestamp": {"order": "desc", "unmapped_type": "date", "format": "epoch_millis", "numeric_type": "date"}},
    {"event.id": {"order": "asc", "unmapped_type": "keyword"}},
]

Text = Annotated[
    str,
    Query(
        min_length=1,
        max_length=LONGEST_QUERY,
        description="Words, or Lucene's syntax; several words are all to be found.",
        examples=["payment AND user.id:48213"],
    ),
]


class Total(BaseModel):
    """How many events there are.

    Attributes:
        value: Their number.
        relation: ``eq`` where it is exact, ``gte`` where there are at least so many.
    """

    value: int
    relation: Literal["eq", "gte"]


class Page(BaseModel):
    """What every list has.

    Attributes:
        total: Events on all pages.
        startTime: From this moment on, by the events' own clock.
        endTime: Before this moment; null where there is no end.
        next: Give it as ``cursor`` to have the next page; null on the last one.
    """

    model_config = ConfigDict(alias_generator=to_camel)

    total: Total
    start_time: str
    end_time: str | None
    next: str | None


class Ids(Page):
    """Ids of events, newest first."""

    ids: list[str]


class Events(Page):
    """Events, newest first."""

    events: list[Document]


class Hit(BaseModel):
    """An event that was found.

    Attributes:
        highlight: The part of its message around the words that were found, as HTML: escaped, words within ``<em>``.
        event: The event.
    """

    highlight: str
    event: Document


class Hits(Page):
    """Events that were found, newest first."""

    hits: list[Hit]


@dataclass(frozen=True)
class _Listing:
    """A page of events that a request asks for; ``question`` is all that the list depends on but the page."""

    request: Request
    resources: Resources
    question: dict[str, Any]
    span: TimeRange
    paging: Paging

    async def respond(
        self,
        index: str,
        name: str,
        item: Callable[[dict[str, Any]], Any],
        conditions: Sequence[Body] = (),
        *,
        fields: Sequence[str] | None = None,
        text: str | None = None,
    ) -> Response:
        """The page: events of an index, each made from a hit, under a name in the answer; else as :func:`page_body`."""
        paging, resources = self.paging, self.resources
        span = {"startTime": iso(self.span.since), "endTime": iso(self.span.until) if self.span.until else None}

        async def fetch() -> dict[str, Any]:
            body = page_body(
                [self.span.condition, *conditions],
                paging,
                timeout=resources.repository.seconds,
                fields=fields,
                text=text,
            )
            found = await resources.repository.search(index, body, "search" if text else "list")
            hits, total = found["hits"]["hits"], found["hits"]["total"]
            following = write_cursor(_last_position(hits), self.question) if len(hits) == paging.size else None
            counted = {"value": total["value"], "relation": total["relation"]}
            return {name: [item(hit) for hit in hits], "total": counted, **span, "next": following}

        # Moments that are relative to now are another question every time: what they name counts.
        question = self.question | span | {"size": paging.size, "skip": paging.skip, "after": paging.after}
        max_age = min(SETTLED_SECONDS, resources.settings.api.cache_seconds) if self.span.settled else None
        return await cached_response(self.request, resources, question, fetch, max_age=max_age)


def _listing(default_size: int) -> Callable[..., Awaitable[_Listing]]:
    """A dependency that reads the time and the page from a URL."""

    async def read(
        request: Request,
        resources: ResourcesOf,
        start_time: StartTime = None,
        end_time: EndTime = None,
        page: PageNumber = 1,
        size: PageSize = default_size,
        cursor: Cursor | None = None,
    ) -> _Listing:
        parameters = sorted((name, value) for name, value in request.query_params.multi_items() if name not in _PAGING)
        question = {"path": request.url.path, "env": resources.settings.env, "parameters": parameters}
        span = read_time_range(
            start_time, end_time, longest=timedelta(seconds=resources.settings.api.limits.query_seconds)
        )
        return _Listing(request, resources, question, span, read_paging(page, size, cursor, question))

    return read


@router.get("/list-logs", dependencies=MAY_QUERY, responses=response_schemas(Ids, 504))
async def list_logs(listing: Annotated[_Listing, Depends(_listing(100))]) -> Response:
    """Ids of the events as they came, newest first."""
    refuse_others(listing.request, _LIST)
    settings = listing.resources.settings
    index = f"{settings.logs_index},{settings.metrics_index}"
    return await listing.respond(index, "ids", lambda hit: hit["_id"], fields=["event.id"])


@router.get("/logs", dependencies=MAY_QUERY, responses=response_schemas(Events, 504), openapi_extra=FIELD_PARAMETERS)
async def logs(
    listing: Annotated[_Listing, Depends(_listing(50))], filters: Annotated[FilterParameters, Depends()]
) -> Response:
    """Events with the facts found in them, newest first."""
    conditions = filters.conditions(listing.request, _LOGS, listing.resources.fields)
    index = listing.resources.settings.results_index
    return await listing.respond(index, "events", lambda hit: hit["_source"], conditions)


@router.get("/search", dependencies=MAY_QUERY, responses=response_schemas(Hits, 504), openapi_extra=FIELD_PARAMETERS)
async def search(
    listing: Annotated[_Listing, Depends(_listing(20))],
    filters: Annotated[FilterParameters, Depends()],
    query: Text,
) -> Response:
    """Events by full text, newest first, with the words that were found marked."""
    check_query(query, listing.resources.fields)
    conditions = filters.conditions(listing.request, _SEARCH, listing.resources.fields)
    return await listing.respond(
        listing.resources.settings.results_index, "hits", _highlighted_hit, conditions, text=query
    )


def page_body(
    conditions: Sequence[Body],
    paging: Paging,
    *,
    timeout: float,
    fields: Sequence[str] | None = None,
    text: str | None = None,
) -> Body:
    """The search for a page of events, newest first, which the server gives up after ``timeout`` seconds.

    Without ``fields`` it gives all back but the original line; words of ``text`` (Lucene's syntax) are marked.
    """
    body: Body = {
        "query": every(*conditions, *([text_condition(text)] if text else [])),
        "sort": _SORT,
        "size": paging.size,
        "from": paging.skip,
        "track_total_hits": _MOST_COUNTED,
        "timeout": f"{max(1, round(timeout * 1000))}ms",
        "_source": {"includes": list(fields)} if fields is not None else {"excludes": ["event.original"]},
    }
    if paging.after is not None:
        body["search_after"] = list(paging.after)
    if text:
        body["highlight"] = HIGHLIGHT
    return body


def _last_position(hits: Sequence[Mapping[str, Any]]) -> Position:
    timestamp, event_id = hits[-1]["sort"]
    return Position(int(timestamp), event_id)


def _highlighted_hit(hit: Mapping[str, Any]) -> dict[str, Any]:
    marked = html.escape(found_part(hit)).replace(MARK_BEGIN, "<em>").replace(MARK_END, "</em>")
    return {"highlight": marked, "event": hit["_source"]}
