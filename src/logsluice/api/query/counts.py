"""Counts over the last hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from logsluice.api.query.models import Stats, stats_of
from logsluice.api.query.parameters import refuse_others, refused
from logsluice.api.query.responses import MAY_QUERY, QueriesOf, cached_response, response_schemas
from logsluice.api.query.search_bodies import stats_body
from logsluice.errors import LogsluiceError
from logsluice.event.moments import iso

router = APIRouter()

MOST_HOURS: Final = 24 * 31


@router.get("/stats", dependencies=MAY_QUERY, responses=response_schemas(Stats, 504))
async def stats(
    request: Request,
    queries: QueriesOf,
    hours_back: Annotated[int, Query(alias="hoursBack", ge=1, le=MOST_HOURS)] = 24,
) -> Response:
    """Events by level, service, hour and pattern, and the most frequent errors, of the last hours until now."""
    try:
        refuse_others(request, ("hoursBack",))
    except LogsluiceError as error:
        raise refused(error) from None
    end = datetime.now(UTC)
    start = end - timedelta(hours=hours_back)

    async def fetch() -> dict[str, Any]:
        body = stats_body(start, end, timeout=queries.repository.seconds)
        found = await queries.repository.search(queries.settings.results_index, body, "stats")
        return stats_of(found, iso(start), iso(end))

    return await cached_response(request, queries, {}, fetch, keep_seconds=None)
