"""What all query routes share: authorization, response schemas, and cached responses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response

from logsluice.api.guard import requires
from logsluice.api.problems import problem_responses
from logsluice.api.query.cache import TaggedBody
from logsluice.api.query.etags import CHANGES, respond, stays
from logsluice.api.query.queries import Queries
from logsluice.api.resources import ResourcesOf

SETTLED_SECONDS: Final = 300
"""How long the answer about a stretch of time that is over is kept: old logs may still be shipped into it."""

MAY_QUERY: Final = [Depends(requires("query"))]
MAY_CHANGE: Final = [Depends(requires("admin"))]
GUARDED: Final = (400, 401, 403, 422, 429, 503)
"""What may go wrong on every route."""

NOT_MODIFIED: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "It is what If-None-Match names."}}


def response_schemas(model: type, *others: int, not_modified: bool = True) -> dict[int | str, dict[str, Any]]:
    """FastAPI's ``responses`` of a route: what it answers, and the problems there may be beside the usual ones."""
    return {200: {"model": model}, **(NOT_MODIFIED if not_modified else {}), **problem_responses(*GUARDED, *others)}


async def _queries_of(resources: ResourcesOf) -> Queries:
    return resources.queries


QueriesOf = Annotated[Queries, Depends(_queries_of)]
"""For a route's parameter."""


async def cached_response(
    request: Request,
    queries: Queries,
    question: Mapping[str, Any],
    fetch: Callable[[], Awaitable[Any]],
    *,
    keep_seconds: int | None,
) -> Response:
    """The answer to a question, from the cache where it has it.

    Args:
        request: Which may name the tag of the answer that its client has.
        queries: What is asked.
        question: All that the answer depends on.
        fetch: Asks anew.
        keep_seconds: How long the answer will not change; None where that is not known.
    """
    if keep_seconds is None:
        return respond(request, TaggedBody.of(await fetch()), CHANGES)
    found = await queries.cache.find(question)
    if found is None:
        found = TaggedBody.of(await fetch())
        await queries.cache.keep(question, found, keep_seconds)
    return respond(request, found, stays(keep_seconds))
