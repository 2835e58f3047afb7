"""One event by its id: as it came, with its facts, and with the facts that others found in it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from logsluice.api.problems import ProblemError
from logsluice.api.query.merge import checked_facts
from logsluice.api.query.parameters import BODY_STATUSES, json_body, json_body_schema
from logsluice.api.query.responses import (
    MAY_CHANGE,
    MAY_QUERY,
    Document,
    cached_response,
    response_schemas,
)
from logsluice.api.resources import ResourcesOf
from logsluice.errors import LogsluiceError
from logsluice.event.identity import EventId, dated_index

router = APIRouter(tags=["query"])

LONGEST_ID: Final = 320
Id = Annotated[
    str,
    Path(
        alias="id",
        max_length=LONGEST_ID,
        description="`<topic>-<partition>-<offset>-<timestamp in ms>`, as posting the event answers.",
    ),
]


class ExternalFacts(BaseModel):
    """Facts that an external processor found in an event."""

    model_config = ConfigDict(extra="forbid")

    event_id: Annotated[str, Field(alias="eventId", min_length=1, max_length=LONGEST_ID)]
    processor: Annotated[
        str,
        Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$", description="Who found them; kept in `logsluice.processors`."),
    ]
    fields: Annotated[
        dict[Annotated[str, Field(max_length=200)], bool | int | float | str],
        Field(min_length=1, max_length=100, description="Values by dotted ECS name, or by `labels.<name>`."),
    ]


@router.get("/logs/{id}", dependencies=MAY_QUERY, responses=response_schemas(Document, 404))
async def event(request: Request, resources: ResourcesOf, event_id: Id) -> Response:
    """An event as it came, with its original line; it never changes."""
    settings = resources.settings

    async def fetch() -> dict[str, Any]:
        for alias in (settings.logs_index, settings.metrics_index):
            stored = await resources.repository.document(_index(alias, event_id), event_id)
            if stored is not None:
                return dict(stored["_source"])
        raise _not_found(event_id, "event is stored")

    question = {"path": "/logs/{id}", "env": settings.env, "id": event_id}
    return await cached_response(request, resources, question, fetch, max_age=settings.api.cache_seconds)


@router.get("/results/{id}", dependencies=MAY_QUERY, responses=response_schemas(Document, 404))
async def result(request: Request, resources: ResourcesOf, event_id: Id) -> Response:
    """An event with the facts found in it."""

    async def fetch() -> dict[str, Any]:
        index = _index(resources.settings.results_index, event_id)
        stored = await resources.repository.document(index, event_id)
        if stored is None:
            raise _not_found(event_id, "result is stored")
        return dict(stored["_source"])

    return await cached_response(request, resources, {}, fetch, max_age=None)


@router.post(
    "/results",
    dependencies=MAY_CHANGE,
    responses=response_schemas(Document, 404, *BODY_STATUSES, not_modified=False),
    openapi_extra=json_body_schema(ExternalFacts),
)
async def add_facts(
    resources: ResourcesOf, found: Annotated[ExternalFacts, Depends(json_body(ExternalFacts))]
) -> Document:
    """Merge facts that an external processor found into the result of their event.

    Doing it twice is doing it once; a fact that is there already is replaced. Facts stay until the registry's revision
    is raised and the event is extracted again. It takes the scope `admin`, as it changes what others have stored.
    """
    facts = checked_facts(found.fields, resources.registry.fields)
    index = _index(resources.settings.results_index, found.event_id)
    document = await resources.merger.merge(index, found.event_id, found.processor, facts)
    if document is None:
        raise _not_found(found.event_id, "result is stored yet")
    return document


def _index(alias: str, event_id: str) -> str:
    """The one index that can hold an event.

    Raises:
        ProblemError: The text is no event's id.
    """
    try:
        return dated_index(alias, EventId.parse(event_id).timestamp_ms)
    except (LogsluiceError, ValueError, OverflowError, OSError):
        raise _not_found(event_id, "event can have this id") from None


def _not_found(event_id: str, missing: str) -> ProblemError:
    return ProblemError(HTTPStatus.NOT_FOUND, f"{event_id}: no {missing}")
