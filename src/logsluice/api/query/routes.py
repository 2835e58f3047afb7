"""The paths of the way out, put together; ``/logs/tail`` comes before ``/logs/{id}``, which would take it for an id."""

from __future__ import annotations

from fastapi import APIRouter

from logsluice.api.query import by_id, counts, lists, pattern_routes, tail_routes

router = APIRouter(tags=["query"])
for part in (lists, tail_routes, by_id, counts, pattern_routes):
    router.include_router(part.router)
