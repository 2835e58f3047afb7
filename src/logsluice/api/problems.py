"""Errors as problem details (RFC 9457), from whatever part of the application they come.

Source: https://www.rfc-editor.org/rfc/rfc9457
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from logsluice.errors import LogsluiceError

MEDIA_TYPE: Final = "application/problem+json"
_MOST_ERRORS: Final = 20
_LONGEST_INPUT: Final = 200

log = structlog.get_logger(__name__)

_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
    },
}


class ProblemError(Exception):
    """A refusal or a failure, answered as problem details (RFC 9457).

    Args:
        status: The HTTP status.
        detail: What is wrong with this very request and what to do, in a sentence for people.
        headers: Further headers of the answer.
        retry_after: Seconds until it pays to ask again; also sent as ``Retry-After``.
        extensions: Further members of the answer.
    """

    def __init__(
        self,
        status: HTTPStatus | int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        **extensions: Any,
    ) -> None:
        super().__init__(detail)
        self.status = HTTPStatus(status)
        self.detail = detail
        self.headers = dict(headers or {})
        self.extensions = extensions
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, round(retry_after)))

    def body(self, instance: str | None = None) -> dict[str, Any]:
        """The members of the answer; ``instance`` is the request's id."""
        return {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": int(self.status),
            "detail": self.detail,
            **({"instance": instance} if instance else {}),
            **self.extensions,
        }

    def response(self, instance: str | None = None) -> Response:
        """The answer itself."""
        return Response(orjson.dumps(self.body(instance)), self.status, headers=self.headers, media_type=MEDIA_TYPE)


def unavailable(detail: str, retry_after: float) -> ProblemError:
    """503: what is needed does not answer, or has no room, for now."""
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=retry_after)


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Problem details for FastAPI's ``responses``, one for each status."""
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": _SCHEMA}}}
        for status in statuses
    }


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every refusal and every failure of an application with problem details."""
    for kind in (ProblemError, LogsluiceError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _problem_response)


async def _problem_response(request: Request, error: Exception) -> Response:
    problem = as_problem(error)
    if problem.status == HTTPStatus.METHOD_NOT_ALLOWED:
        problem.headers["Allow"] = ", ".join(_methods(request)) or problem.headers.get("Allow", "")
    return problem.response(request.scope.get("request_id"))


def _methods(request: Request) -> list[str]:
    """What a path takes, all its routes together; the framework names that of the first route alone."""
    path = request.scope["path"]
    documented: dict[str, dict[str, Any]] = request.app.openapi()["paths"]
    templates = [path] if path in documented else [name for name in documented if compile_path(name)[0].match(path)]
    return sorted({method.upper() for name in templates for method in documented[name]})


def as_problem(error: Exception) -> ProblemError:
    """Any exception as a problem; one that nobody expected is logged, and answered without its text."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, LogsluiceError):
        # Settings and registries were checked at the start: it is the request that is wrong.
        return ProblemError(HTTPStatus.BAD_REQUEST, str(error))
    if isinstance(error, HTTPException):
        detail = (
            error.detail
            if error.detail != HTTPStatus(error.status_code).phrase
            else _STANDARD.get(error.status_code, error.detail)
        )
        return ProblemError(error.status_code, detail, headers=error.headers)
    if isinstance(error, RequestValidationError):
        errors = [_validation_error(entry) for entry in error.errors()[:_MOST_ERRORS]]
        first = errors[0]
        return ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"{first['pointer']}: {first['detail']}".strip(": "), errors=errors
        )
    log.error("unexpected", exc_info=error)
    return ProblemError(
        HTTPStatus.INTERNAL_SERVER_ERROR, "this should not have happened; the server's log has it under this request id"
    )


_STANDARD: Final[dict[int, str]] = {
    HTTPStatus.NOT_FOUND: "there is nothing at this path; /docs lists what there is",
    HTTPStatus.METHOD_NOT_ALLOWED: "this path does not take that method; see the Allow header",
}


def _validation_error(entry: Mapping[str, Any]) -> dict[str, Any]:
    place = "/".join(str(part) for part in entry["loc"])
    value = entry.get("input")
    shown = {"input": value[:_LONGEST_INPUT]} if isinstance(value, str) else {}
    return {"pointer": place, "detail": entry["msg"], **shown}
