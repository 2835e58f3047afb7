"""What the names of a regular expression's groups usually mean, and how events with keys write their times."""

from __future__ import annotations

from typing import Final

from logsluice.formats.syntaxes import EVERYDAY

FIELD_BY_GROUP: Final[dict[str, str]] = {
    "timestamp": "@timestamp",
    "level": "log.level",
    "message": "message",
    "logger": "log.logger",
    "pid": "process.pid",
    "process": "process.name",
    "thread": "process.thread.name",
    "tid": "process.thread.id",
    "host": "host.name",
    "service": "service.name",
    "app": "log.syslog.appname",
    "priority": "log.syslog.priority",
    "file": "log.origin.file.name",
    "line": "log.origin.file.line",
    "function": "log.origin.function",
    "source_ip": "source.ip",
    "source_address": "source.address",
    "source_port": "source.port",
    "client_ip": "client.ip",
    "destination_ip": "destination.ip",
    "destination_port": "destination.port",
    "user": "user.name",
    "quoted_user": "user.name",
    "method": "http.request.method",
    "url": "url.original",
    "no_request": "url.original",
    "path": "url.path",
    "query": "url.query",
    "domain": "url.domain",
    "vhost": "url.domain",
    "duration": "event.duration",
    "http_version": "http.version",
    "status": "http.response.status_code",
    "bytes": "http.response.body.bytes",
    "request_bytes": "http.request.body.bytes",
    "referrer": "http.request.referrer",
    "user_agent": "user_agent.original",
    "request_id": "http.request.id",
    "trace_id": "trace.id",
    "span_id": "span.id",
    "error_type": "error.type",
    "error_message": "error.message",
    "stack_trace": "error.stack_trace",
    "code": "event.code",
    "action": "event.action",
    "outcome": "event.outcome",
    "provider": "event.provider",
    "sequence": "event.sequence",
    "msgid": "log.syslog.msgid",
    "structured_data": "log.syslog.structured_data",
    "container": "container.id",
    "version": "service.version",
}
"""The field that a group of this name gives where the format does not say otherwise."""

KEYED_TIMESTAMPS: Final = EVERYDAY
"""Tried for JSON and logfmt events where the format does not say otherwise."""
