"""What all query routes share: authorization, response schemas, and responses with entity tags, cached where they may.

Source: RFC 9110, section 13 (conditional requests).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import Depends, Request, Response

from logsluice.api.guard.access import Requires
from logsluice.api.ingest.bodies import JSON
from logsluice.api.problems import problem_responses
from logsluice.api.query.cache import TaggedBody
from logsluice.api.resources import Resources

SETTLED_SECONDS: Final = 300
"""How long the answer about a stretch of time that is over is kept: old logs may still be shipped into it."""

MAY_QUERY: Final = [Depends(Requires("query"))]
MAY_CHANGE: Final = [Depends(Requires("admin"))]
GUARDED: Final = (400, 401, 403, 422, 429, 503)
"""What may go wrong on every route."""

Document = dict[str, Any]
"""An event, its fields named and nested as in Elastic Common Schema."""


def response_schemas(model: type, *others: int, not_modified: bool = True) -> dict[int | str, dict[str, Any]]:
    """FastAPI's ``responses`` of a route: what it answers, and the problems there may be beside the usual ones."""
    unchanged: dict[int | str, dict[str, Any]] = {304: {"description": "It is what If-None-Match names."}}
    return {200: {"model": model}, **(unchanged if not_modified else {}), **problem_responses(*GUARDED, *others)}


async def cached_response(
    request: Request,
    resources: Resources,
    question: Mapping[str, Any],
    fetch: Callable[[], Awaitable[Any]],
    *,
    max_age: int | None,
) -> Response:
    """The answer to a question (all that it depends on), from the cache where it has it; 304 where the client has it.

    What will not change for ``max_age`` seconds is kept; None where that is not known.
    """
    found = None if max_age is None else await resources.responses.find(question)
    if found is None:
        found = TaggedBody.of(orjson.dumps(await fetch()))
        if max_age is not None:
            await resources.responses.store(question, found, max_age)
    headers = {
        "ETag": found.tag,
        "Cache-Control": "private, no-cache" if max_age is None else f"private, max-age={max_age}",
        "Vary": "Authorization, X-API-Key",
    }
    tags = request.headers.get("if-none-match", "").split(",")
    if any(entry.strip().removeprefix("W/") in (found.tag, "*") for entry in tags):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(found.body, media_type=JSON, headers=headers)
