"""Responses with entity tags, and 304 where the client has the content (RFC 9110, section 13)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from fastapi import Request, Response

from logsluice.api.query.cache import TaggedBody

JSON: Final = "application/json"
CHANGES: Final = "private, no-cache"
"""Of an answer that may be another one the next time: it is asked for again, with its tag."""


def stays(seconds: int) -> str:
    """``Cache-Control`` of an answer that does not change for a while."""
    return f"private, max-age={seconds}"


def respond(request: Request, answer: TaggedBody, cache_control: str) -> Response:
    """The answer, or 304 to who names its tag in ``If-None-Match``."""
    headers = {"ETag": answer.tag, "Cache-Control": cache_control, "Vary": "Authorization, X-API-Key"}
    if _names(request.headers.get("if-none-match"), answer.tag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(answer.body, media_type=JSON, headers=headers)


def _names(header: str | None, tag: str) -> bool:
    """Whether a list of tags names one, compared weakly."""
    if header is None:
        return False
    return any(entry.strip().removeprefix("W/") in (tag, "*") for entry in header.split(","))
