"""The fields an event may carry: Elastic Common Schema names with their types.

What ECS lacks follows OpenTelemetry's semantic conventions (``session.id``); ``logsluice.*`` is our own.
Source: https://www.elastic.co/docs/reference/ecs/ecs-field-reference
"""

from __future__ import annotations

from typing import Final, Literal

FieldType = Literal["keyword", "text", "long", "double", "boolean", "ip", "date", "duration", "level"]
"""``duration`` is written as text with a unit (``35ms``) and kept as nanoseconds; ``level`` is normalised."""

LEVELS: Final = ("trace", "debug", "info", "notice", "warn", "error", "critical")
"""The values of ``log.level``, mildest first."""

ERROR_LEVELS: Final = ("error", "critical")
"""The levels that count as errors, mildest first."""

SERVER_ERROR: Final = 500
"""The lowest HTTP status that counts as an error, whatever the event's level."""

FIELDS: Final[dict[str, FieldType]] = {
    "@timestamp": "date",
    "message": "text",
    "client.ip": "ip",
    "container.id": "keyword",
    "container.name": "keyword",
    "destination.ip": "ip",
    "destination.port": "long",
    "error.cause": "keyword",
    "error.message": "text",
    "error.stack_trace": "text",
    "error.type": "keyword",
    "event.action": "keyword",
    "event.category": "keyword",
    "event.code": "keyword",
    "event.dataset": "keyword",
    "event.duration": "duration",
    "event.hash": "keyword",
    "event.kind": "keyword",
    "event.module": "keyword",
    "event.outcome": "keyword",
    "event.provider": "keyword",
    "event.reason": "keyword",
    "event.sequence": "long",
    "host.ip": "ip",
    "host.name": "keyword",
    "http.request.body.bytes": "long",
    "http.request.id": "keyword",
    "http.request.method": "keyword",
    "http.request.referrer": "keyword",
    "http.response.body.bytes": "long",
    "http.response.status_code": "long",
    "http.version": "keyword",
    "log.file.path": "keyword",
    "log.level": "level",
    "log.logger": "keyword",
    "log.offset": "long",
    "log.origin.file.line": "long",
    "log.origin.file.name": "keyword",
    "log.origin.function": "keyword",
    "log.syslog.appname": "keyword",
    "log.syslog.facility.code": "long",
    "log.syslog.msgid": "keyword",
    "log.syslog.priority": "long",
    "log.syslog.severity.code": "long",
    "log.syslog.structured_data": "keyword",
    "network.protocol": "keyword",
    "orchestrator.namespace": "keyword",
    "process.name": "keyword",
    "process.pid": "long",
    "process.thread.id": "long",
    "process.thread.name": "keyword",
    "service.environment": "keyword",
    "service.name": "keyword",
    "service.version": "keyword",
    "session.id": "keyword",
    "source.address": "keyword",
    "source.ip": "ip",
    "source.port": "long",
    "span.id": "keyword",
    "trace.id": "keyword",
    "transaction.id": "keyword",
    "url.domain": "keyword",
    "url.full": "keyword",
    "url.original": "keyword",
    "url.path": "keyword",
    "url.query": "keyword",
    "user.domain": "keyword",
    "user.email": "keyword",
    "user.id": "keyword",
    "user.name": "keyword",
    "user_agent.original": "keyword",
}
"""Types by field name. Fields outside it are declared where they are used, or kept as text in ``labels``."""
