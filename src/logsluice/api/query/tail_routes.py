"""The live tail as server-sent events.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from logsluice.api.guard.access import client_of
from logsluice.api.problems import ProblemError, problem_responses, unavailable
from logsluice.api.query.lists import Text
from logsluice.api.query.live_tail import Tail, read_position
from logsluice.api.query.lucene import check_query, text_condition
from logsluice.api.query.parameters import FIELD_PARAMETERS, FilterParameters
from logsluice.api.query.responses import GUARDED, MAY_QUERY
from logsluice.api.resources import ResourcesOf
from logsluice.runtime import metrics

router = APIRouter(tags=["query"])

_TAIL: Final = ("level", "minLevel", "source", "query")
_RETRY_MS: Final = 2_000
_FULL_SECONDS: Final = 10


async def followed_tail(
    request: Request,
    resources: ResourcesOf,
    filters: Annotated[FilterParameters, Depends()],
    query: Text | None = None,
    last_event_id: Annotated[
        str | None, Header(max_length=100, description="The `id` of the last event that was seen: goes on after it.")
    ] = None,
) -> AsyncGenerator[Tail, None]:
    """A place among those who follow, given back when the client goes."""
    conditions = filters.conditions(request, _TAIL, resources.fields)
    if query is not None:
        check_query(query, resources.fields)
        conditions.append(text_condition(query))
    positions = read_position(last_event_id) if last_event_id else None
    caller, each = client_of(request), resources.settings.api.tails_each
    if [*resources.tails.values()].count(caller) >= each:
        raise ProblemError(
            HTTPStatus.TOO_MANY_REQUESTS, f"you follow {each} times already; end one of them", retry_after=_FULL_SECONDS
        )
    if len(resources.tails) >= resources.settings.api.tails:
        raise unavailable(f"{resources.settings.api.tails} clients follow already", _FULL_SECONDS)
    tail = Tail(
        resources.repository,
        resources.checkpoints,
        resources.settings.results_index,
        conditions,
        positions,
        resources.stopping,
        lambda: resources.guard.still_admits(request, "query"),
    )
    resources.tails[tail] = caller
    metrics.API_TAILS.set(len(resources.tails))
    try:
        await tail.start()
        yield tail
    finally:
        del resources.tails[tail]
        metrics.API_TAILS.set(len(resources.tails))


@router.get(
    "/logs/tail",
    dependencies=MAY_QUERY,
    response_class=EventSourceResponse,
    responses=problem_responses(*GUARDED),
    openapi_extra=FIELD_PARAMETERS,
)
async def tail(followed: Annotated[Tail, Depends(followed_tail)]) -> AsyncIterator[ServerSentEvent]:
    """Results as they are stored, one server-sent event each, from now on.

    An event's `id` names its place: sent as `Last-Event-ID`, as browsers do by themselves, the stream goes on after it
    with nothing missed. A result whose facts changed comes again. The stream ends when the server stops or
    Elasticsearch is away; clients come back after two seconds.
    """
    yield ServerSentEvent(comment="following", retry=_RETRY_MS)
    try:
        async for event in followed.events():
            yield ServerSentEvent(id=event.position, data=event.document)
    except ProblemError as problem:
        yield ServerSentEvent(event="problem", data=problem.body())
