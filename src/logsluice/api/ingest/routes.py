"""Posting events: one, many, plain lines, OpenTelemetry's."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal, cast

import jsonschema_rs
import orjson
from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel

from logsluice.api.guard.access import Caller, Requires
from logsluice.api.ingest import otlp
from logsluice.api.ingest.bodies import JSON, media_type_of
from logsluice.api.ingest.buffer import TicketItem
from logsluice.api.ingest.events import (
    Posted,
    RejectedEvent,
    event_schema,
    json_event,
    json_events,
    ndjson_lines,
    plain_event,
    too_complex,
    too_many,
)
from logsluice.api.ingest.idempotency import HEADER, fingerprint_of, post_id
from logsluice.api.ingest.intake import ItemResult, KeyedPost, Receipt
from logsluice.api.ingest.producer import Record
from logsluice.api.problems import MEDIA_TYPE, ProblemError, problem_responses
from logsluice.api.resources import ResourcesOf, resources_of
from logsluice.event.limits import MAX_VALUE_BYTES
from logsluice.settings import ApiLimits

_NDJSON: Final = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines")
_PLAIN: Final = "text/plain"
_AGAIN_SECONDS: Final = 5
# An OTLP export says once what all its events say.
_MOST_TIMES_LARGER: Final = 4
_OTLP_CONTENT: Final = {
    otlp.PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
    JSON: {"schema": {"type": "object"}},
}


class _Direct(APIRoute):
    """A route whose function reads the request itself.

    FastAPI's solving of parameters took a third of the time of a single post, which has none.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The function as it is."""
        return cast(Callable[[Request], Coroutine[Any, Any, Response]], self.endpoint)


router = APIRouter(tags=["ingest"], route_class=_Direct)
tickets = APIRouter(tags=["ingest"])
_GUARDED: Final[dict[str, Any]] = {"security": [{"bearer": []}]}


class StoredEvent(BaseModel):
    """Where an event is.

    Attributes:
        id: Ask for it by `GET /logs/{id}`.
    """

    id: str


class TicketGiven(BaseModel):
    """That events wait on disk while Kafka is away.

    Attributes:
        ticket: Ask for their ids by `GET /tickets/{ticket}`.
    """

    ticket: str


class BatchResult(BaseModel):
    """What became of a batch.

    Attributes:
        stored: How many events are stored.
        refused: How many are wrong.
        failed: How many Kafka did not acknowledge; post them again.
        items: One for each event, in order.
    """

    stored: int
    refused: int
    failed: int
    items: list[ItemResult]


class Ticket(BaseModel):
    """What became of a post that waited.

    Attributes:
        status: ``waiting`` until every event is stored or refused.
        items: One for each event, in order.
    """

    status: Literal["waiting", "ended"]
    items: list[TicketItem]


_EVENT: Final[dict[str, Any]] = {
    key: value
    for key, value in jsonschema_rs.dereference(event_schema()).items()
    if key not in ("$schema", "$id", "definitions")
}
_EVENT_EXAMPLE: Final = {"level": "error", "message": "payment failed user_id=48213", "source": "shop"}
_KEY_HEADER: Final = {
    "name": HEADER,
    "in": "header",
    "description": "Sent again with the same key, a post is stored once and answered alike. Needs Redis.",
    "schema": {"type": "string", "pattern": r"^[!#-~]{1,255}$"},
}
_ENCODED: Final = {
    "name": "Content-Encoding",
    "in": "header",
    "description": "How the body is compressed: `gzip`, `deflate`, `zstd`, or not at all (`identity`).",
    "schema": {"type": "string", "default": "identity"},
}
_REFUSALS: Final = (400, 401, 403, 408, 409, 413, 415, 422, 429, 503, 507)
_TEXT: Final = {"type": "string", "minLength": 1}
_POSTED: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": TicketGiven, "description": "Kafka is away; the events wait on disk."},
    **problem_responses(*_REFUSALS),
}


@router.post(
    "/logs",
    status_code=HTTPStatus.CREATED,
    response_model=StoredEvent,
    responses=_POSTED,
    openapi_extra={
        **_GUARDED,
        "parameters": [_KEY_HEADER, _ENCODED],
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": _EVENT, "example": _EVENT_EXAMPLE},
                _PLAIN: {"schema": _TEXT, "example": "2026-11-22 10:15:30 ERROR gone"},
            },
        },
    },
)
async def post_log(request: Request) -> Response:
    """Post one event: JSON in ECS or the short form, or a plain line (or several lines that belong together).

    The answer comes when Kafka has the event, with the id it has there.
    """
    resources = await resources_of(request)
    caller = await resources.guard.admit(request, "ingest")
    limits = resources.settings.api.limits
    media_type = media_type_of(request, JSON, _PLAIN)
    most = max(limits.event_bytes, MAX_VALUE_BYTES) if media_type == _PLAIN else limits.event_bytes
    async with resources.intake.bodies.read(request, most) as body:
        event = plain_event(body) if media_type == _PLAIN else json_event(body, limits)
        if isinstance(event, RejectedEvent):
            await resources.intake.post([event], "single")
            raise _problem(ItemResult(**event._asdict()))
        receipt = await resources.intake.post([event], "single", _keyed(request, caller, media_type, body))
    if receipt.ticket is not None:
        return _ticket_response(receipt)
    (result,) = receipt.results
    if result.id is None:
        raise _problem(result)
    return _answer(HTTPStatus.CREATED, {"id": result.id}, receipt, {"Location": f"/logs/{result.id}"})


@router.post(
    "/logs/batch",
    status_code=HTTPStatus.CREATED,
    response_model=BatchResult,
    responses={207: {"model": BatchResult, "description": "Some events are not stored."}, **_POSTED},
    openapi_extra={
        **_GUARDED,
        "parameters": [_KEY_HEADER, _ENCODED],
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"type": "array", "items": _EVENT, "minItems": 1}, "example": [_EVENT_EXAMPLE]},
                _NDJSON[0]: {"schema": _TEXT, "example": '{"message": "one"}\n'},
                _PLAIN: {"schema": _TEXT, "example": "INFO one\nINFO two\n"},
            },
        },
    },
)
async def post_batch(request: Request) -> Response:
    """Post many events: a JSON array, NDJSON, or plain lines, each an event.

    Each event has its own outcome: 201 where all are stored, 207 where some are not, and a problem with the outcomes
    where none is.
    """
    resources = await resources_of(request)
    caller = await resources.guard.admit(request, "ingest")
    limits = resources.settings.api.limits
    media_type = media_type_of(request, JSON, *_NDJSON, _PLAIN)
    async with resources.intake.bodies.read(request, limits.body_bytes) as body:
        posted = _events(body, media_type, limits)
        if isinstance(posted, RejectedEvent):
            raise ProblemError(posted.status, posted.detail)
        if not posted:
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "there are no events in it")
        receipt = await resources.intake.post(posted, "batch", _keyed(request, caller, media_type, body))
    if receipt.ticket is not None:
        return _ticket_response(receipt)
    return _batch_answer(receipt)


@router.post(
    "/v1/logs",
    response_class=Response,
    responses={
        200: {
            "description": "The records are stored, but for those that `partialSuccess` tells of.",
            "content": _OTLP_CONTENT,
        },
        **{
            status: {
                "description": HTTPStatus(status).phrase,
                "content": {**_OTLP_CONTENT, MEDIA_TYPE: {"schema": {"type": "object"}}},
            }
            for status in (400, 401, 403, 408, 413, 415, 429, 503, 507)
        },
    },
    openapi_extra={
        **_GUARDED,
        "parameters": [_ENCODED],
        "requestBody": {"required": False, "content": _OTLP_CONTENT},
    },
)
async def post_otlp(request: Request) -> Response:
    """OpenTelemetry's log records (OTLP over HTTP, protobuf or JSON), as any collector's `otlphttp` exporter sends
    them.
    """
    resources = await resources_of(request)
    await resources.guard.admit(request, "ingest")
    limits = resources.settings.api.limits
    media_type = media_type_of(request, otlp.PROTOBUF, otlp.JSON)
    async with resources.intake.bodies.read(request, limits.body_bytes) as body:
        try:
            posted = _batch(otlp.export_events(body, media_type, limits), limits)
        except otlp.MalformedPayloadError as error:
            return _otlp_failure(HTTPStatus.BAD_REQUEST, str(error), media_type)
        except otlp.PayloadTooLargeError:
            posted = too_complex()
        if isinstance(posted, RejectedEvent):
            return _otlp_failure(posted.status, posted.detail, media_type)
        receipt = await resources.intake.post(posted, "otlp")
    failed = [result for result in receipt.results if result.status >= HTTPStatus.INTERNAL_SERVER_ERROR]
    if failed:
        detail = failed[0].detail or ""
        return _otlp_failure(HTTPStatus.SERVICE_UNAVAILABLE, detail, media_type, {"Retry-After": str(_AGAIN_SECONDS)})
    refused = [result for result in receipt.results if result.id is None]
    reason = f"{refused[0].detail}" if refused else ""
    return Response(otlp.export_answer(len(refused), reason, media_type), media_type=media_type)


@tickets.get("/tickets/{ticket}", responses=problem_responses(401, 403, 404, 422, 429, 503))
async def get_ticket(
    ticket: Annotated[str, Path(pattern="^[0-9a-f]{32}$")],
    _caller: Annotated[Caller, Depends(Requires("ingest"))],
    resources: ResourcesOf,
) -> Ticket:
    """What became of events that were answered with 202: their ids, once Kafka has them."""
    buffer = resources.intake.buffer
    events = await buffer.ticket(ticket) if buffer is not None else None
    if events is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "there is no such ticket here, or not any more")
    waits = any(event.status == "waiting" for event in events)
    return Ticket(status="waiting" if waits else "ended", items=events)


def _events(body: bytes, media_type: str, limits: ApiLimits) -> list[Posted] | RejectedEvent:
    if media_type == JSON and body.lstrip()[:1] != b"{":
        return json_events(body, limits)
    # A client that says JSON and sends an object a line means NDJSON.
    lines = ndjson_lines(body)
    return _batch((plain_event(line) if media_type == _PLAIN else json_event(line, limits) for line in lines), limits)


def _batch(events: Iterable[Posted], limits: ApiLimits) -> list[Posted] | RejectedEvent:
    """Events as they come, no more than a post may have; what few bytes say of many events counts with each of them."""
    posted: list[Posted] = []
    size = 0
    for event in events:
        size += len(event.value) if isinstance(event, Record) else 0
        if len(posted) == limits.batch_events:
            return too_many(limits)
        if size > _MOST_TIMES_LARGER * limits.body_bytes:
            return RejectedEvent(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the events of a post may have {_MOST_TIMES_LARGER * limits.body_bytes:,} bytes together",
            )
        posted.append(event)
    return posted


def _keyed(request: Request, caller: Caller, media_type: str, body: bytes) -> KeyedPost | None:
    key = request.headers.get(HEADER)
    if key is None:
        return None
    return KeyedPost(post_id(caller.id, request.url.path, key), fingerprint_of(media_type, body))


def _problem(result: ItemResult) -> ProblemError:
    extensions: dict[str, Any] = {"pointer": result.pointer} if result.pointer else {}
    retry = _AGAIN_SECONDS if result.status >= HTTPStatus.INTERNAL_SERVER_ERROR else None
    return ProblemError(result.status, result.detail or "", retry_after=retry, **extensions)


def _batch_answer(receipt: Receipt) -> Response:
    items = [result.model_dump(exclude_none=True) for result in receipt.results]
    stored = sum(result.id is not None for result in receipt.results)
    failed = sum(result.status >= HTTPStatus.INTERNAL_SERVER_ERROR for result in receipt.results)
    refused = len(items) - stored - failed
    counts: dict[str, Any] = {"stored": stored, "refused": refused, "failed": failed}
    if stored:
        status = HTTPStatus.CREATED if stored == len(items) else HTTPStatus.MULTI_STATUS
        return _answer(status, {**counts, "items": items}, receipt)
    first = next(result for result in receipt.results if not failed or result.status >= 500)
    raise ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE if failed else HTTPStatus.UNPROCESSABLE_ENTITY,
        f"none of {len(items)} events is stored; the first: {first.detail}",
        retry_after=_AGAIN_SECONDS if failed else None,
        **counts,
        items=items,
    )


def _ticket_response(receipt: Receipt) -> Response:
    location = f"/tickets/{receipt.ticket}"
    return _answer(HTTPStatus.ACCEPTED, {"ticket": receipt.ticket}, receipt, {"Location": location})


def _answer(
    status: HTTPStatus, body: dict[str, Any], receipt: Receipt, headers: dict[str, str] | None = None
) -> Response:
    replayed = {"Idempotency-Replayed": "true"} if receipt.replayed else {}
    return Response(orjson.dumps(body), status, {**(headers or {}), **replayed}, JSON)


def _otlp_failure(status: HTTPStatus, message: str, media_type: str, headers: dict[str, str] | None = None) -> Response:
    # google.rpc.Code: INVALID_ARGUMENT is 3, UNAVAILABLE 14.
    code = 14 if status == HTTPStatus.SERVICE_UNAVAILABLE else 3
    return Response(otlp.failure(code, message, media_type), status, headers, media_type)
