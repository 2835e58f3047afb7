"""Renders the demo shop's events as log lines: JSON of several kinds and plain formats."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import orjson

from logsluice.demo.shop import Failure, LogRecord

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PIDS: Final = {"gateway": 7, "auth": 812, "shipping": 4411, "inventory": 23}
_SYSLOG_SEVERITY: Final = {"debug": 7, "info": 6, "warn": 4, "error": 3, "critical": 2}
_LOCAL0: Final = 16
_JAVA: Final = frozenset({"checkout", "payment"})
_TRACED: Final = _JAVA | {"auth"}
_MESSAGE_FIELDS: Final = ("trace.id", "session.id", "user.id")


def render(record: LogRecord, at: float, *, json: bool) -> str:
    """The line that a service writes at a time (seconds since the epoch), without its end.

    The stack trace of a plain Java, Python or Go line follows on lines of its own, the trace of a JSON line is a field
    of it.
    """
    if json:
        return orjson.dumps(_JSON.get(record.service, _ecs_nested)(record, at)).decode()
    if record.is_access:
        return _combined(record, at)
    line = _PLAIN[record.service](record, at)
    if record.failure and record.service in _TRACED:
        line += "\n" + _trace(record, record.failure)
    return line


# JSON.


def _ecs_nested(record: LogRecord, at: float) -> dict[str, Any]:
    """Elastic Common Schema with nested objects."""
    document: dict[str, Any] = {
        "@timestamp": _iso(at),
        "log": {"level": record.level, "logger": record.logger},
        "message": record.message,
        "ecs": {"version": "9.2.0"},
        "service": {"name": record.service},
    }
    for name, value in _all_fields(record).items():
        *parents, leaf = name.split(".")
        place = document
        for parent in parents:
            place = place.setdefault(parent, {})
        place[leaf] = value
    return document


def _ecs_dotted(record: LogRecord, at: float) -> dict[str, Any]:
    """Elastic Common Schema with dotted names, as ecs-logging for Java writes it."""
    return {
        "@timestamp": _iso(at),
        "log.level": record.level.upper(),
        "message": record.message,
        "ecs.version": "1.2.0",
        "service.name": record.service,
        "log.logger": _java_logger(record),
        "process.thread.name": _thread(record),
        **_all_fields(record),
    }


def _zap(record: LogRecord, at: float) -> dict[str, Any]:
    """Go's zap with its production settings: seconds since the epoch and a caller."""
    return {
        "level": {"critical": "fatal"}.get(record.level, record.level),
        "ts": round(at, 6),
        "logger": record.logger,
        "caller": f"{record.service}/{record.logger.rpartition('.')[2]}.go:{40 + len(record.message)}",
        "msg": record.message,
        "service.name": record.service,
        **_all_fields(record),
    }


def _all_fields(record: LogRecord) -> dict[str, Any]:
    if record.failure is None:
        return record.fields
    return record.fields | {
        "error.message": record.failure.message,
        "error.stack_trace": _trace(record, record.failure),
    }


# Plain lines.


def _logback(record: LogRecord, at: float) -> str:
    """Logback's usual pattern, with the way through the system in brackets."""
    level = {"critical": "error"}.get(record.level, record.level).upper()
    return (
        f"{_stamp(at, ' ', ',')} {level:<5} [{_thread(record)}] {_java_logger(record)} - "
        f"{record.message}{_context(record)}"
    )


def _python(record: LogRecord, at: float) -> str:
    """Python's logging, with the format that most copy."""
    level = {"warn": "WARNING"}.get(record.level, record.level.upper())
    return (
        f"{_stamp(at, ' ', ',')} - {record.service}.{record.logger.rpartition('.')[2]} - {level} - "
        f"{record.message}{_context(record)}"
    )


def _logfmt(record: LogRecord, at: float) -> str:
    """Go's slog text handler and its like."""
    pairs = [
        f"time={_stamp(at, 'T', '.')}Z",
        f"level={record.level}",
        f"service={record.service}",
        f"msg={_quoted(record.message)}",
    ]
    pairs += [f"{name}={_quoted(str(value))}" for name, value in record.fields.items()]
    if record.failure:
        pairs.append(f"error={_quoted(record.failure.message)}")
    return " ".join(pairs)


def _syslog(record: LogRecord, at: float) -> str:
    """Syslog as in RFC 5424."""
    priority = _LOCAL0 * 8 + _SYSLOG_SEVERITY[record.level]
    pid = _PIDS[record.service]
    return (
        f"<{priority}>1 {_iso(at)} shop-1.example {record.service} {pid} {record.logger} - "
        f"{record.message}{_context(record)}"
    )


def _bsd_syslog(record: LogRecord, at: float) -> str:
    """Syslog as files in /var/log have it."""
    second = int(at)
    month, day, clock = _parts(second)[1:4]
    return (
        f"{_MONTHS[month - 1]} {day:>2} {clock} shop-2 {record.service}[{_PIDS[record.service]}]: "
        f"{record.level.upper()} {record.message}{_context(record)}"
    )


def _nginx_error(record: LogRecord, at: float) -> str:
    """Nginx's error log."""
    year, month, day, clock = _parts(int(at))
    level = {"critical": "crit"}.get(record.level, record.level)
    client = record.fields.get("source.ip", "-")
    return (
        f"{year}/{month:02d}/{day:02d} {clock} [{level}] 7#7: *{int(at * 1000) % 100_000} "
        f"{record.message}, client: {client}, server: shop.example"
    )


def _combined(record: LogRecord, at: float) -> str:
    """The combined format of Apache and nginx."""
    facts = record.fields
    year, month, day, clock = _parts(int(at))
    target = str(facts["url.path"]) + (f"?{facts['url.query']}" if "url.query" in facts else "")
    return (
        f"{facts['source.ip']} - {facts.get('user.id', '-')} "
        f"[{day:02d}/{_MONTHS[month - 1]}/{year}:{clock} +0000] "
        f'"{facts["http.request.method"]} {target} HTTP/1.1" {facts["http.response.status_code"]} '
        f'{facts["http.response.body.bytes"]} "-" "{facts["user_agent.original"]}"'
    )


_JSON: Final[dict[str, Callable[[LogRecord, float], dict[str, Any]]]] = {
    "catalog": _zap,
    "checkout": _ecs_dotted,
    "inventory": _zap,
}
_PLAIN: Final[dict[str, Callable[[LogRecord, float], str]]] = {
    "gateway": _nginx_error,
    "auth": _python,
    "catalog": _logfmt,
    "checkout": _logback,
    "payment": _logback,
    "shipping": _syslog,
    "inventory": _bsd_syslog,
}


# Parts of lines.


def _trace(record: LogRecord, failure: Failure) -> str:
    """The stack trace in the manner of the service's language."""
    part = record.logger.rpartition(".")[2]
    if record.service in _JAVA:
        package = f"com.acme.shop.{record.service}"
        lines = [
            f"{failure.kind}: {failure.message}",
            f"\tat {package}.{part.capitalize()}Service.handle({part.capitalize()}Service.java:{40 + len(part)})",
            f"\tat {package}.web.{part.capitalize()}Controller.post({part.capitalize()}Controller.java:31)",
            "\tat java.base/java.lang.Thread.run(Thread.java:1583)",
        ]
        if failure.cause:
            kind, message = failure.cause
            lines += [
                f"Caused by: {kind}: {message}",
                f"\tat {package}.client.Client.call(Client.java:118)",
                "\t... 2 more",
            ]
        return "\n".join(lines)
    if record.service == "auth":
        return "\n".join(
            (
                "Traceback (most recent call last):",
                f'  File "/srv/auth/{part}.py", line {20 + len(part)}, in {part}',
                "    user = await self.store.find(user_id)",
                '  File "/srv/auth/store.py", line 77, in find',
                "    return await self._query(statement)",
                f"{failure.kind}: {failure.message}",
            )
        )
    return (
        f"{failure.kind}: {failure.message}\n"
        f"main.(*Server).{part}\n\t/srv/{record.service}/{part}.go:{20 + len(part)}\n"
        "net/http.HandlerFunc.ServeHTTP\n\t/usr/local/go/src/net/http/server.go:2220"
    )


def _context(record: LogRecord) -> str:
    facts = record.fields
    if "trace.id" not in facts:
        return ""
    words = [f"{name}={facts[name]}" for name in _MESSAGE_FIELDS if name in facts]
    if "labels.amount" in facts:
        words += [
            f"{name}={facts[name]}"
            for name in ("event.action", "event.outcome", "labels.amount", "labels.currency", "labels.order_id")
        ]
    return f" [{' '.join(words)}]"


def _java_logger(record: LogRecord) -> str:
    part = record.logger.rpartition(".")[2]
    return f"com.acme.shop.{record.service}.{part.capitalize()}Service"


def _thread(record: LogRecord) -> str:
    return f"http-nio-8080-exec-{1 + len(record.message) % 10}"


def _quoted(text: str) -> str:
    if text and not any(character in text for character in ' ="\\'):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@lru_cache(maxsize=8)
def _parts(second: int) -> tuple[int, int, int, str]:
    moment = datetime.fromtimestamp(second, tz=UTC)
    return moment.year, moment.month, moment.day, f"{moment:%H:%M:%S}"


def _stamp(at: float, between: str, decimal: str) -> str:
    """Date and time with milliseconds, rounded down so that it never runs ahead."""
    second = int(at)
    year, month, day, clock = _parts(second)
    return f"{year}-{month:02d}-{day:02d}{between}{clock}{decimal}{int((at - second) * 1000):03d}"


def _iso(at: float) -> str:
    return f"{_stamp(at, 'T', '.')}Z"
