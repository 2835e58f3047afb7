"""Whether the API lives, what it can reach, and what it has counted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any, Final, Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from logsluice import __version__
from logsluice.api.resources import Resources, ResourcesOf
from logsluice.runtime import metrics

router = APIRouter(tags=["health"])
_SECONDS: Final = 3.0


class PartHealth(BaseModel):
    """How a part is.

    Attributes:
        status: ``off`` where it is not configured.
        detail: Why it is down.
    """

    status: Literal["up", "down", "off"]
    detail: str | None = None


class Health(BaseModel):
    """How the API is.

    Attributes:
        status: ``up``, or ``degraded`` where something it needs is down.
        version: Of logsluice.
        parts: Each part it works with.
    """

    status: Literal["up", "degraded"]
    version: str
    parts: dict[str, PartHealth]


class Alive(BaseModel):
    """That the process answers."""

    status: Literal["up"] = "up"


@router.get("/health", response_model_exclude_none=True)
async def health(resources: ResourcesOf) -> Health:
    """What is up and what is not; always 200 while the API itself answers."""
    return await _health(resources)


@router.get("/health/live")
async def live() -> Alive:
    """Whether the process answers: restart it where it does not."""
    return Alive()


@router.get(
    "/health/ready",
    response_model_exclude_none=True,
    responses={503: {"model": Health, "description": "Events cannot be taken and questions cannot be answered."}},
)
async def ready(resources: ResourcesOf, response: Response) -> Health:
    """Whether to send requests here: while Kafka (or the buffer before it) or Elasticsearch answers."""
    found = await _health(resources)
    takes = found.parts["kafka"].status == "up" or found.parts["buffer"].status == "up"
    if not takes and found.parts["elasticsearch"].status != "up":
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return found


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def prometheus() -> Response:
    """Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _health(resources: Resources) -> Health:
    async def elasticsearch() -> None:
        await resources.elasticsearch.options(request_timeout=_SECONDS).cluster.health()

    checks: dict[str, Awaitable[Any]] = {
        "kafka": resources.intake.positions.refresh(_SECONDS),
        "elasticsearch": elasticsearch(),
    }
    stores = (resources.shared, resources.cache)
    checks |= {store.part: store.measure() for store in stores if store.configured}
    answers = await asyncio.gather(*(_part(question) for question in checks.values()))
    parts = dict(zip(checks, answers, strict=True))
    for store in stores:
        parts.setdefault(store.part, PartHealth(status="off"))
    parts["buffer"] = PartHealth(status="up" if resources.intake.buffer is not None else "off")
    for name in ("kafka", "elasticsearch", *(store.part for store in stores)):
        if parts[name].status != "off":
            metrics.PART_UP.labels(name).set(parts[name].status == "up")
    degraded = any(part.status == "down" for part in parts.values())
    return Health(status="degraded" if degraded else "up", version=__version__, parts=parts)


async def _part(question: Awaitable[Any]) -> PartHealth:
    try:
        async with asyncio.timeout(_SECONDS):
            await question
    except Exception as error:
        return PartHealth(status="down", detail=" ".join(str(error).split())[:200] or type(error).__name__)
    return PartHealth(status="up")
