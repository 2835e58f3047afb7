"""Events in pages: their ids, themselves, and by full text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from logsluice.api.query.cursors import write_cursor
from logsluice.api.query.lucene import LONGEST_QUERY, check_query
from logsluice.api.query.models import Events, Hits, Ids, highlighted_hit, last_position, total_of
from logsluice.api.query.parameters import (
    FIELD_PARAMETERS,
    Cursor,
    EndTime,
    Levels,
    MinLevel,
    PageNumber,
    PageSize,
    Paging,
    Sources,
    StartTime,
    filters,
    read_paging,
    refuse_others,
    refused,
)
from logsluice.api.query.queries import Queries
from logsluice.api.query.responses import MAY_QUERY, SETTLED_SECONDS, QueriesOf, cached_response, response_schemas
from logsluice.api.query.search_bodies import page_body
from logsluice.api.query.time_range import TimeRange, read_time_range
from logsluice.elasticsearch.queries import Body
from logsluice.errors import LogsluiceError
from logsluice.event.moments import iso

router = APIRouter()

_LIST: Final = ("startTime", "endTime", "page", "size", "cursor")
_LOGS: Final = (*_LIST, "level", "minLevel", "source")
_SEARCH: Final = (*_LOGS, "query")
_PAGING: Final = ("page", "size", "cursor")

Text = Annotated[
    str,
    Query(
        min_length=1,
        max_length=LONGEST_QUERY,
        description="Words, or Lucene's syntax; several words are all to be found.",
        examples=["payment AND user.id:48213"],
    ),
]


@dataclass(frozen=True)
class _Listing:
    """What a list holds.

    Attributes:
        question: All that it depends on but the page.
        span: The stretch of time.
        paging: Which page.
    """

    question: dict[str, Any]
    span: TimeRange
    paging: Paging

    @classmethod
    def of(
        cls,
        request: Request,
        queries: Queries,
        start: str | None,
        end: str | None,
        page: int,
        size: int,
        cursor: str | None,
    ) -> _Listing:
        """What a request asks for.

        Raises:
            LogsluiceError: A moment, the page or the cursor is wrong.
        """
        parameters = sorted((name, value) for name, value in request.query_params.multi_items() if name not in _PAGING)
        question = {"path": request.url.path, "env": queries.settings.env, "asked": parameters}
        span = read_time_range(start, end, longest=queries.longest)
        return cls(question, span, read_paging(page, size, cursor, question))

    async def respond(
        self,
        request: Request,
        queries: Queries,
        index: str,
        name: str,
        form: Callable[[dict[str, Any]], Any],
        *,
        conditions: Sequence[Body] = (),
        fields: Sequence[str] | None = None,
        text: str | None = None,
    ) -> Response:
        """A page of it.

        Args:
            request: Who asks.
            queries: What is asked.
            index: The aliases to look in.
            name: What the answer calls its events.
            form: Makes one of them from a hit.
            conditions: Beside the time, what holds for each.
            fields: The fields that are needed; all but the original line where left out.
            text: In Lucene's syntax.
        """
        paging, span = self.paging, self.span

        async def fetch() -> dict[str, Any]:
            body = page_body(
                [span.condition, *conditions],
                size=paging.size,
                skip=paging.skip,
                after=paging.after,
                timeout=queries.repository.seconds,
                fields=fields,
                text=text,
            )
            found = await queries.repository.search(index, body, "search" if text else "list")
            hits = found["hits"]["hits"]
            more = len(hits) == paging.size
            return {
                name: [form(hit) for hit in hits],
                "total": total_of(found),
                "startTime": iso(span.since),
                "endTime": iso(span.until) if span.until else None,
                "next": write_cursor(last_position(hits), self.question) if more else None,
            }

        # Moments that are relative to now are another question every time: what they name counts.
        moments = {"since": iso(span.since), "until": iso(span.until) if span.until else None}
        question = self.question | moments | {"size": paging.size, "skip": paging.skip, "after": paging.after}
        keep = min(SETTLED_SECONDS, queries.settings.api.cache_seconds) if span.settled else None
        return await cached_response(request, queries, question, fetch, keep_seconds=keep)


@router.get("/list-logs", dependencies=MAY_QUERY, responses=response_schemas(Ids, 504))
async def list_logs(
    request: Request,
    queries: QueriesOf,
    start_time: StartTime = None,
    end_time: EndTime = None,
    page: PageNumber = 1,
    size: PageSize = 100,
    cursor: Cursor | None = None,
) -> Response:
    """Ids of the events as they came, newest first."""
    try:
        refuse_others(request, _LIST)
        listing = _Listing.of(request, queries, start_time, end_time, page, size, cursor)
    except LogsluiceError as error:
        raise refused(error) from None
    index = f"{queries.settings.logs_index},{queries.settings.metrics_index}"
    return await listing.respond(request, queries, index, "ids", lambda hit: hit["_id"], fields=["event.id"])


@router.get("/logs", dependencies=MAY_QUERY, responses=response_schemas(Events, 504), openapi_extra=FIELD_PARAMETERS)
async def logs(
    request: Request,
    queries: QueriesOf,
    start_time: StartTime = None,
    end_time: EndTime = None,
    level: Levels = (),
    min_level: MinLevel = None,
    source: Sources = (),
    page: PageNumber = 1,
    size: PageSize = 50,
    cursor: Cursor | None = None,
) -> Response:
    """Events with the facts found in them, newest first."""
    try:
        conditions = filters(request, _LOGS, queries.fields, level, min_level, source)
        listing = _Listing.of(request, queries, start_time, end_time, page, size, cursor)
    except LogsluiceError as error:
        raise refused(error) from None
    index = queries.settings.results_index
    return await listing.respond(request, queries, index, "events", lambda hit: hit["_source"], conditions=conditions)


@router.get("/search", dependencies=MAY_QUERY, responses=response_schemas(Hits, 504), openapi_extra=FIELD_PARAMETERS)
async def search(
    request: Request,
    queries: QueriesOf,
    query: Text,
    start_time: StartTime = None,
    end_time: EndTime = None,
    level: Levels = (),
    min_level: MinLevel = None,
    source: Sources = (),
    page: PageNumber = 1,
    size: PageSize = 20,
    cursor: Cursor | None = None,
) -> Response:
    """Events by full text, newest first, with the words that were found marked."""
    try:
        check_query(query, queries.fields)
        conditions = filters(request, _SEARCH, queries.fields, level, min_level, source)
        listing = _Listing.of(request, queries, start_time, end_time, page, size, cursor)
    except LogsluiceError as error:
        raise refused(error) from None
    index = queries.settings.results_index
    return await listing.respond(request, queries, index, "hits", highlighted_hit, conditions=conditions, text=query)
