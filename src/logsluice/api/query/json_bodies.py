"""JSON request bodies, read within the limits and only after authorization.

A body that a route names as a parameter is read by FastAPI before anybody is asked who they are, however large it is
and however slowly it comes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Any, Final, TypeVar

import jsonschema_rs
import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from logsluice.api.ingest.bodies import JSON, media_type_of
from logsluice.api.problems import ProblemError
from logsluice.api.resources import ResourcesOf

# Of a question, not of events: what is parsed takes up to twenty times as much.
_MOST_BYTES: Final = 2_097_152
Model = TypeVar("Model", bound=BaseModel)

BODY_STATUSES = (408, 413, 415)
"""What may go wrong with a body."""


def json_body(model: type[Model]) -> Callable[..., AsyncIterator[Model]]:
    """A dependency that reads a body; its memory counts until the request is answered."""

    async def read(request: Request, resources: ResourcesOf) -> AsyncIterator[Model]:
        media_type_of(request, JSON)
        most = min(_MOST_BYTES, resources.settings.api.limits.body_bytes)
        async with resources.intake.bodies.read(request, most) as body:
            yield _read(model, body)

    return read


def json_body_schema(model: type[BaseModel]) -> dict[str, Any]:
    """FastAPI's ``openapi_extra`` of a route with such a body."""
    schema = jsonschema_rs.dereference(model.model_json_schema())
    schema.pop("$defs", None)
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}}


def _read(model: type[Model], body: bytes) -> Model:
    try:
        return model.model_validate(orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"not JSON: {error}") from None
    except ValidationError as error:
        raise RequestValidationError([{**entry, "loc": ("body", *entry["loc"])} for entry in error.errors()]) from None
