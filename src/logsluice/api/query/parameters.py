"""What requests ask for: query parameters, and JSON bodies, which are read only after authorization.

FastAPI reads a body that a route names as a parameter before that, however large it is and however slowly it comes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final, NamedTuple, TypeVar

import jsonschema_rs
import orjson
from fastapi import Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError

from logsluice.api.ingest.bodies import JSON, media_type_of
from logsluice.api.problems import ProblemError
from logsluice.api.query.conditions import (
    LONGEST_VALUE,
    Searchable,
    field_conditions,
    level_condition,
    searchable_fields,
    severity_condition,
)
from logsluice.api.query.cursors import LONGEST_CURSOR, Position, read_cursor
from logsluice.api.resources import ResourcesOf
from logsluice.elasticsearch.queries import Body, time_range
from logsluice.errors import LogsluiceError
from logsluice.event.ecs import FIELDS, LEVELS
from logsluice.runtime.time_expressions import parse_moment

LARGEST_PAGE: Final = 1_000
MOST_PAGED: Final = 10_000
"""How deep pages by number reach: ``index.max_result_window``, up to which every shard sorts all that it finds."""
_MOST_CONDITIONS: Final = 50
_LONGEST_MOMENT: Final = 40
_LONG: Final = 10**18
# Of a question, not of events: what is parsed takes up to twenty times as much.
_MOST_BODY_BYTES: Final = 2_097_152
Model = TypeVar("Model", bound=BaseModel)

BODY_STATUSES = (408, 413, 415)
"""What may go wrong with a body."""
_DAY: Final = timedelta(days=1)
SETTLED: Final = timedelta(minutes=10)
"""How long after its end a stretch of time may still get events, where every part of the pipeline is up."""

Moment = Annotated[str, Query(max_length=_LONGEST_MOMENT, examples=["now-1h", "2026-11-22T08:30:00Z"])]
StartTime = Annotated[Moment | None, Query(alias="startTime")]
EndTime = Annotated[Moment | None, Query(alias="endTime")]
Level = Annotated[str, Field(max_length=20)]
Source = Annotated[str, Field(max_length=LONGEST_VALUE)]

Cursor = Annotated[str, Query(max_length=LONGEST_CURSOR, description="`next` of the answer before.")]
PageNumber = Annotated[int, Query(ge=1, le=MOST_PAGED, description="From 1 on; `page` × `size` is at most 10,000.")]
PageSize = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="The most events of a page.")]
Levels = Annotated[Sequence[Level], Query(max_length=20, description="Exactly that level; may stand several times.")]
LeastLevel = Annotated[Level, Query(description="That level and worse ones.")]
MinLevel = Annotated[LeastLevel | None, Query(alias="minLevel")]
Sources = Annotated[Sequence[Source], Query(max_length=20, description="`service.name`; may stand several times.")]


class TimeRange(NamedTuple):
    """Where a search begins and ends, by the events' own clock.

    Attributes:
        since: From this moment on.
        until: Before this moment; None for no end, so that events ahead of the clock are found too.
        settled: Whether it ended so long ago that its events have all come.
    """

    since: datetime
    until: datetime | None
    settled: bool

    @property
    def condition(self) -> Body:
        """The condition on ``@timestamp``, to the millisecond."""
        return time_range(self.since, self.until)


def read_time_range(
    start: str | None, end: str | None, *, longest: timedelta, now: datetime | None = None
) -> TimeRange:
    """The stretch between two moments, as they stand in a URL.

    Args:
        start: ISO 8601, or ``now-1h`` and the like; where left out, at most ``longest`` before the end.
        end: Likewise; where left out there is no end.
        longest: The longest stretch that may be asked about.
        now: What ``now`` means; this moment where left out.

    Raises:
        LogsluiceError: One of them is no moment, they are the wrong way round, or too far apart.
    """
    now = now or datetime.now(UTC)
    until = None if end is None else _parsed("endTime", end, now)
    since = _longest_before(until or now, longest) if start is None else _parsed("startTime", start, now)
    length = (until or max(now, since)) - since
    if length < timedelta(0):
        raise LogsluiceError("the wrong way round", where="startTime, endTime", why=f"{start} is after {end}")
    if length > longest:
        raise LogsluiceError(
            "too long a time",
            where="startTime, endTime",
            why=f"more than {longest.days} days",
            hint="ask for one part after the other",
        )
    return TimeRange(since, until, until is not None and until <= now - SETTLED)


def _longest_before(end: datetime, longest: timedelta) -> datetime:
    earliest = datetime.min.replace(tzinfo=UTC)
    if end - earliest <= longest:
        return earliest
    start = end - longest
    # From a day's beginning on where there are several, so that all day long the same is asked for.
    return start.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY if longest > 2 * _DAY else start


def _parsed(name: str, text: str, now: datetime) -> datetime:
    try:
        return parse_moment(text, now=now)
    except LogsluiceError as error:
        raise LogsluiceError(error.what, where=f"{name}={text}", hint=error.hint) from None


@dataclass(frozen=True)
class Paging:
    """Which page is wanted: how many events it skips or, instead, the last event of the page before."""

    size: int
    skip: int
    after: Position | None


def read_paging(page: int, size: int, cursor: str | None, question: Mapping[str, Any]) -> Paging:
    """The page that is wanted.

    Raises:
        LogsluiceError: It lies too deep for a number, or the cursor is none of this question.
    """
    if cursor is not None:
        return Paging(size, 0, read_cursor(cursor, question))
    if page * size > MOST_PAGED:
        raise LogsluiceError(
            "too deep",
            where=f"page={page}, size={size}",
            why=f"pages by number end after {MOST_PAGED} events",
            hint="follow `next` of the answers as cursor, which goes as deep as there are events",
        )
    return Paging(size, (page - 1) * size, None)


def refuse_others(request: Request, named: Sequence[str]) -> None:
    """Refuse a parameter that a route does not know, instead of answering another question than was asked.

    Raises:
        LogsluiceError: There is one.
    """
    for name in request.query_params:
        if name not in named:
            raise LogsluiceError("no parameter of this path", where=name[:100], hint=f"there are {', '.join(named)}")


@dataclass(frozen=True)
class FilterParameters:
    """What a URL says of the events that are wanted; a dependency of FastAPI."""

    level: Levels = ()
    min_level: MinLevel = None
    source: Sources = ()

    def conditions(self, request: Request, named: Sequence[str], fields: Searchable) -> list[Body]:
        """What holds for every event that is wanted; parameters that are not ``named`` are fields with their values.

        Raises:
            LogsluiceError: A field or level is not known, a value is not of its type, or there are too many.
        """
        pairs = [(name, value) for name, value in request.query_params.multi_items() if name not in named]
        if len(pairs) + len(self.level) + len(self.source) > _MOST_CONDITIONS:
            raise LogsluiceError("too many conditions", where="the URL", why=f"more than {_MOST_CONDITIONS}")
        conditions = field_conditions([*pairs, *(("service.name", source) for source in self.source)], fields)
        if self.level:
            conditions.append(level_condition(self.level))
        if self.min_level is not None:
            conditions.append(severity_condition(self.min_level))
        return conditions


def _schema(name: str, kind: str) -> dict[str, Any]:
    if name == "log.level":
        return {"type": "string", "enum": list(LEVELS)}
    if name == "event.duration":
        return {"type": "string", "pattern": "^[0-9]{1,15}(ns|us|ms|s|m|h)$", "examples": ["35ms"]}
    if kind == "long":
        return {"type": "integer", "minimum": -_LONG + 1, "maximum": _LONG - 1}
    if kind == "ip":
        return {"anyOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}]}
    if kind == "date":
        return {"type": "string", "format": "date-time"}
    return {"type": "string", "maxLength": LONGEST_VALUE}


FIELD_PARAMETERS: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "fields",
            "in": "query",
            "required": False,
            "style": "form",
            "explode": True,
            "description": "Any field of a result by its name, each with the value it must have: "
            "`user.id=48213&http.response.status_code=500`. A field that stands twice may have either value. Fields "
            "that the environment's own patterns fill can be asked for too.",
            "schema": {
                "type": "object",
                "properties": {
                    name: _schema(name, kind)
                    for name, kind in sorted(searchable_fields(FIELDS).items())
                    if kind != "flattened"
                },
                "patternProperties": {r"^labels\.[A-Za-z0-9_.-]{1,100}$": {"type": "string", "maxLength": 1_000}},
                "additionalProperties": False,
            },
        }
    ]
}
"""The fields as the OpenAPI page shows them."""


def json_body(model: type[Model]) -> Callable[..., AsyncIterator[Model]]:
    """A dependency that reads a body; its memory counts until the request is answered."""

    async def read(request: Request, resources: ResourcesOf) -> AsyncIterator[Model]:
        media_type_of(request, JSON)
        most = min(_MOST_BODY_BYTES, resources.settings.api.limits.body_bytes)
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
