"""Imports saved objects into Kibana; retries while it is unavailable or still starting.

Source: https://www.elastic.co/docs/api/doc/kibana/operation/operation-post-saved-objects-import
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from threading import Event
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import orjson

from logsluice.elasticsearch.client import is_certificate_error
from logsluice.errors import LogsluiceError
from logsluice.provision.kibana.objects import SavedObject
from logsluice.runtime.retry import RetryContext, retry_on_unavailable
from logsluice.settings import KibanaSettings

_PATH: Final = "/api/saved_objects/_import"
_REQUEST_SECONDS: Final = 120.0
_MOST_ERRORS: Final = 3
_LONGEST_ANSWER: Final = 300


class _KibanaNotReadyError(Exception):
    """Kibana answers, but cannot do it yet."""


def import_objects(
    settings: KibanaSettings, objects: Sequence[SavedObject], *, job: str, stop: Event | None = None
) -> None:
    """Import saved objects, in place of those that have their ids.

    Args:
        objects: The objects; what they refer to has to be among them or in Kibana.

    Raises:
        LogsluiceError: There is no Kibana at that address, or it refuses the credentials or an object.
        StoppedError: ``stop`` was set while Kibana was away.
    """
    host = str(settings.host).rstrip("/")
    if not _is_url(host):
        raise LogsluiceError("not the URL of a server", where=host, hint="write kibana.host as https://HOST:PORT")
    if settings.ca_certs and not settings.ca_certs.is_file():
        raise LogsluiceError("no such file", where=str(settings.ca_certs), why="kibana.ca_certs")
    username, password = settings.username, settings.password
    auth = (username, password.get_secret_value()) if username and password else None
    trust = ssl.create_default_context(cafile=settings.ca_certs)
    with httpx.Client(auth=auth, verify=trust, timeout=_REQUEST_SECONDS, trust_env=False) as client:
        try:
            answer = retry_on_unavailable(
                lambda: _post(client, host, objects),
                _is_away,
                RetryContext("kibana", host, job, stop=stop, describe_error=_explain),
            )
        except httpx.TransportError as error:
            raise LogsluiceError(
                "its certificate is not trusted",
                where=host,
                why=_explain(error),
                hint="name the authority's PEM file in kibana.ca_certs",
            ) from None
    _check(answer, host, len(objects))


def _post(client: httpx.Client, host: str, objects: Iterable[SavedObject]) -> httpx.Response:
    lines = b"\n".join(orjson.dumps(entry) for entry in objects)
    answer = client.post(
        host + _PATH,
        params={"overwrite": "true"},
        headers={"kbn-xsrf": "logsluice"},
        files={"file": ("logsluice.ndjson", lines, "application/ndjson")},
    )
    if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or answer.is_server_error:
        raise _KibanaNotReadyError(f"{answer.status_code} {_words(answer)}")
    return answer


def _check(answer: httpx.Response, host: str, expected: int) -> None:
    if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise LogsluiceError(
            "Kibana refuses the credentials",
            where=host,
            why=f"{answer.status_code} {_words(answer)}",
            hint="check kibana.username and kibana.password",
        )
    body = _body(answer)
    if answer.status_code != HTTPStatus.OK or "success" not in body:
        raise LogsluiceError(
            "does not answer as Kibana does",
            where=host,
            why=f"{answer.status_code} {_words(answer)}",
            hint="check kibana.host, with the base path of Kibana where it has one",
        )
    errors = body.get("errors") or []
    if errors or not body["success"]:
        texts = [_error_text(error) for error in errors[:_MOST_ERRORS]]
        if len(errors) > _MOST_ERRORS:
            texts.append(f"and {len(errors) - _MOST_ERRORS} more")
        raise LogsluiceError(
            f"Kibana took {body.get('successCount', 0)} of {expected} saved objects", where=host, why="; ".join(texts)
        )


def _error_text(entry: dict[str, Any]) -> str:
    """What Kibana says of an object that it refuses."""
    error = entry.get("error") or {}
    words = f"{entry.get('type')} {entry.get('id')}: {error.get('message') or error.get('type')}"
    missing = [f"{reference.get('type')} {reference.get('id')}" for reference in error.get("references") or ()]
    return f"{words} {', '.join(missing)}".strip()


def _is_url(host: str) -> bool:
    try:
        parts = urlsplit(host)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_away(error: BaseException) -> bool:
    return isinstance(error, httpx.TransportError | _KibanaNotReadyError) and not is_certificate_error(error)


def _explain(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _words(answer: httpx.Response) -> str:
    """What an answer says, on one line."""
    text = _body(answer).get("message") or answer.text or answer.reason_phrase
    return " ".join(str(text).split())[:_LONGEST_ANSWER]
