"""A schema registry that speaks Confluent's API: Apicurio Registry, Confluent's own, Karapace and others.

Source: https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

from __future__ import annotations

import json
import ssl
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import jsonschema_rs

from logsluice.errors import LogsluiceError
from logsluice.settings import SchemaRegistrySettings

COMPATIBILITY: Final = "BACKWARD"
"""Events that were right by the schema before are right by the new one: consumers can be brought up to date first."""

_MEDIA_TYPE: Final = "application/vnd.schemaregistry.v1+json"
_SECONDS: Final = 30.0
_NOT_FOUND: Final = httpx.codes.NOT_FOUND
_CONFLICT: Final = httpx.codes.CONFLICT


class RegisteredSchema(NamedTuple):
    """A registered schema."""

    id: int
    version: int


def subject_of(topic: str) -> str:
    """The subject of a topic's values, by the strategy that every client has as its default (TopicNameStrategy)."""
    return f"{topic}-value"


def event_schema(path: Path | None = None) -> dict[str, Any]:
    """The JSON Schema of an event.

    Args:
        path: A file with another one than the API checks by.

    Raises:
        LogsluiceError: The file cannot be read, or is no JSON Schema.
    """
    where = str(path or "event.schema.json")
    try:
        text = (path or files("logsluice.event.schemas") / "event.schema.json").read_text(encoding="utf-8")
        schema = json.loads(text)
        jsonschema_rs.meta.validate(schema)
    except OSError as error:
        raise LogsluiceError("cannot be read", where=where, why=error.strerror) from None
    except UnicodeDecodeError as error:
        raise LogsluiceError("is not UTF-8", where=where, why=str(error)) from None
    except json.JSONDecodeError as error:
        raise LogsluiceError("is not JSON", where=f"{where}, line {error.lineno}", why=error.msg) from None
    except jsonschema_rs.ValidationError as error:
        raise LogsluiceError("is no JSON Schema", where=where, why=error.message) from None
    if not isinstance(schema, dict):
        raise LogsluiceError("is no JSON Schema of an event", where=where, why="it is no object")
    return schema


class SchemaRegistry:
    """A client for one command.

    Raises:
        LogsluiceError: There is none in the settings, or the file of trusted certificates is not there.
    """

    def __init__(self, settings: SchemaRegistrySettings) -> None:
        if settings.url is None:
            raise LogsluiceError(
                "there is no schema registry in the settings",
                hint="set LOGSLUICE_SCHEMA_REGISTRY__URL; `logsluice up --with-schema-registry` starts one here",
            )
        if settings.ca_certs and not settings.ca_certs.is_file():
            raise LogsluiceError("no such file", where=str(settings.ca_certs), why="schema_registry.ca_certs")
        self._url = settings.url.rstrip("/")
        password = settings.password.get_secret_value() if settings.password else ""
        self._client = httpx.Client(
            base_url=f"{self._url}/",
            timeout=_SECONDS,
            headers={"Accept": f"{_MEDIA_TYPE}, application/json"},
            auth=(settings.username, password) if settings.username else None,
            verify=ssl.create_default_context(cafile=str(settings.ca_certs)) if settings.ca_certs else True,
        )

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def latest(self, subject: str) -> int | None:
        """The newest version of a subject; None where nothing is registered.

        Raises:
            LogsluiceError: The registry does not answer or refuses.
        """
        answer = self._request("GET", f"subjects/{subject}/versions/latest")
        return None if answer is None else int(answer["version"])

    def check(self, subject: str, schema: dict[str, Any]) -> None:
        """Hold a schema against the newest one of its subject.

        Raises:
            LogsluiceError: They are not compatible, or the registry does not answer or refuses.
        """
        if self.latest(subject) is None:
            return
        self._require_compatibility(subject)
        path = f"compatibility/subjects/{subject}/versions/latest?verbose=true"
        answer = self._request("POST", path, _content(schema))
        if answer is not None and not answer["is_compatible"]:
            raise _incompatible(subject, "; ".join(answer.get("messages") or ()))

    def register(self, subject: str, schema: dict[str, Any]) -> RegisteredSchema:
        """Register a schema, from now on held to what came before; one that is there already stays as it is.

        Raises:
            LogsluiceError: It is not compatible, or the registry does not answer or refuses.
        """
        answer = self._request("POST", f"subjects/{subject}/versions", _content(schema))
        self._require_compatibility(subject)
        found = self._request("POST", f"subjects/{subject}", _content(schema))
        if answer is None or found is None:
            raise LogsluiceError("does not have what was just registered", where=f"{self._url}, {subject}")
        return RegisteredSchema(int(answer["id"]), int(found["version"]))

    def _require_compatibility(self, subject: str) -> None:
        """Have a subject's schemas held to each other; a rule that somebody set stays as it is."""
        current = self._request("GET", f"config/{subject}")
        if current is None or current.get("compatibilityLevel", "NONE") == "NONE":
            self._request("PUT", f"config/{subject}", {"compatibility": COMPATIBILITY})

    def _request(self, method: str, path: str, content: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """What the registry answers; None where it has nothing of that name."""
        try:
            answer = self._client.request(
                method,
                path,
                content=None if content is None else json.dumps(content).encode(),
                headers={} if content is None else {"Content-Type": _MEDIA_TYPE},
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise LogsluiceError(
                "the schema registry does not answer",
                where=self._url,
                why=str(error),
                hint="`logsluice up --with-schema-registry` starts one here",
            ) from None
        if answer.status_code == _NOT_FOUND:
            return None
        try:
            body: dict[str, Any] = answer.json()
        except ValueError:
            body = {}
        if answer.status_code == _CONFLICT:
            raise _incompatible(path.split("/")[1], str(body.get("message", "")))
        if not answer.is_success:
            reason = f"{answer.status_code} {body.get('message') or answer.reason_phrase}"
            raise LogsluiceError("the schema registry refuses", where=self._url, why=reason)
        return body


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"schemaType": "JSON", "schema": json.dumps(schema, sort_keys=True, separators=(",", ":"))}


def _incompatible(subject: str, reason: str) -> LogsluiceError:
    return LogsluiceError(
        "not compatible with the registered schema",
        where=subject,
        why=reason or "an event that was right by it may be wrong by this one",
        hint="only allow more than before: no new required field, no narrower type, no new rule for what was open",
    )
