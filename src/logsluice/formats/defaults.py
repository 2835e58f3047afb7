"""What names usually mean: groups of a format's regular expression, keys of JSON and logfmt events."""

from __future__ import annotations

from typing import Final

from logsluice.formats.syntaxes import EVERYDAY

Key = str | tuple[str, str]
"""A dotted key, or a pair of keys: whole seconds and nanoseconds."""

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

DEFAULT_KEYS: Final[dict[str, tuple[Key, ...]]] = {
    field: tuple(keys.split())
    for field, keys in {
        "@timestamp": "@timestamp timestamp time ts Timestamp datetime date eventTime event_time asctime "
        "created_at logged_at timeMillis epochMillis @t Time t time_local",
        "log.level": "log.level level severity levelname lvl loglevel log_level severityText severity_text "
        "severityName Level LogLevel Severity level_name @l LEVEL",
        "message": "message msg log.message event.message short_message body text Message log @m MESSAGE event",
        "log.logger": "log.logger logger logger_name loggerName logger.name Logger Category SourceContext component",
        "service.name": "service.name service serviceName service_name app application appname app_name",
        "service.version": "service.version service_version serviceVersion",
        "service.environment": "service.environment env environment",
        "host.name": "host.name host.hostname hostname host Host MachineName",
        "process.pid": "process.pid pid processId process_id ProcessId",
        "process.thread.name": "process.thread.name thread thread_name threadName Thread",
        "trace.id": "trace.id trace_id traceId traceID TraceId dd.trace_id otelTraceID",
        "span.id": "span.id span_id spanId spanID SpanId dd.span_id otelSpanID",
        "session.id": "session.id session_id sessionId",
        "user.id": "user.id user_id userId",
        "http.request.id": "http.request.id request_id requestId req_id reqId x_request_id correlation_id",
        "http.request.method": "http.request.method http_method request_method",
        "http.response.status_code": "http.response.status_code status_code statusCode http_status",
        "url.path": "url.path url_path",
        "error.message": "error.message error err exception.message error_message err.message",
        "error.type": "error.type error_type exception.type exception.exception_class err.type",
        "error.stack_trace": "error.stack_trace stack_trace stacktrace stack exception.stacktrace exc_info "
        "traceback err.stack @x",
    }.items()
}
"""Keys of JSON and logfmt events by field, tried in order after the format's own.

A key is a path through nested objects with dots between, or just a key with dots in it.
"""
