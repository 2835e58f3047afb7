"""Tables from Elasticsearch's answers to :mod:`logsluice.dashboard.queries`: pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import polars as pl

from logsluice.dashboard.filters import Filters, Span
from logsluice.dashboard.queries import ERROR_LEVELS, TIMEOUT_SECONDS
from logsluice.documents.fields import field_value
from logsluice.elasticsearch.search import innermost_reason
from logsluice.event.moments import from_millis

Answer: TypeAlias = Mapping[str, Any]

_LONGEST_MESSAGE: Final = 2_000
_MILLION: Final = 1_000_000
_TIME: Final = pl.Datetime("ms", "UTC")

OVER_TIME: Final = pl.Schema({"time": _TIME, "events": pl.Int64(), "error": pl.Int64(), "critical": pl.Int64()})
BY_TYPE: Final = pl.Schema({"error_type": pl.String(), "count": pl.Int64()})
BY_IP: Final = pl.Schema({"ip": pl.String(), "count": pl.Int64()})
BY_SERVICE: Final = pl.Schema(
    {"service": pl.String(), "count": pl.Int64(), "events": pl.Int64(), "error_rate": pl.Float64()}
)
LINES: Final = pl.Schema(
    {
        "time": _TIME,
        "level": pl.String(),
        "service": pl.String(),
        "message": pl.String(),
        "error_type": pl.String(),
        "ip": pl.String(),
        "id": pl.String(),
    }
)
WINDOWS: Final = pl.Schema(
    {
        "service": pl.String(),
        "window": _TIME,
        "events": pl.Int64(),
        "errors": pl.Int64(),
        "critical": pl.Int64(),
        "error_rate": pl.Float64(),
        "trend": pl.List(pl.Float64()),
        "p50_ms": pl.Float64(),
        "p95_ms": pl.Float64(),
        "p99_ms": pl.Float64(),
        "users": pl.Int64(),
        "payments": pl.Int64(),
        "refunds": pl.Int64(),
        "late": pl.Int64(),
    }
)
ALERTS: Final = pl.Schema(
    {
        "status": pl.String(),
        "severity": pl.String(),
        "rule": pl.String(),
        "service": pl.String(),
        "message": pl.String(),
        "value": pl.Float64(),
        "threshold": pl.Float64(),
        "opened": _TIME,
        "resolved": _TIME,
        "url": pl.String(),
    }
)


@dataclass(frozen=True)
class View:
    """What the page shows, as it was at one moment.

    Attributes:
        total: Events that the filters let through; None where that is not known.
        total_before: Events of the stretch of the same length before.
        over_time: A row a bar, also where there was nothing.
        by_type: Errors by ``error.type``, most first; likewise the next two.
        services: All there are in the span, whatever service the filters name.
        lines: The newest log lines that the filters, and the bar that was clicked, let through.
        windows: The newest one-minute window of each service, with the error rates of those before.
        alerts: Open ones first, then those resolved in the span.
        ready: Whether there is an index of events at all.
        problems: What went wrong, a line each.
    """

    span: Span
    total: int | None = None
    errors: int | None = None
    total_before: int | None = None
    errors_before: int | None = None
    over_time: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=OVER_TIME))
    by_type: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=BY_TYPE))
    by_ip: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=BY_IP))
    by_service: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=BY_SERVICE))
    services: Sequence[str] = ()
    lines: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=LINES))
    documents: Sequence[Mapping[str, Any]] = ()
    lines_total: int | None = None
    windows: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=WINDOWS))
    alerts: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ALERTS))
    open_alerts: int | None = None
    newest: datetime | None = None
    ready: bool = True
    problems: Sequence[str] = ()


def build_view(answers: Mapping[str, Answer], filters: Filters, span: Span) -> View:
    """The tables in the answers to :func:`requests`."""
    fine = {name: answer for name, answer in answers.items() if "error" not in answer}
    problems = _problems(answers, filters)
    found: dict[str, Any] = {}
    if "events" in fine and "errors" in fine:
        events, errors = fine["events"], fine["errors"]
        found["total"], found["errors"] = _total(events), _total(errors)
        found["over_time"] = over_time(events, errors)
        found["by_type"] = _counts(errors, "types", BY_TYPE)
        found["by_ip"] = _counts(errors, "ips", BY_IP)
    if "before" in fine:
        found["total_before"] = _total(fine["before"])
        found["errors_before"] = fine["before"].get("aggregations", {}).get("errors", {}).get("doc_count", 0)
    if "services" in fine:
        events_of = {bucket["key"]: bucket["doc_count"] for bucket in _buckets(fine["services"], "services")}
        found["services"] = sorted(events_of)
        if "errors" in fine:
            found["by_service"] = by_service(fine["errors"], events_of)
    if "lines" in fine:
        hits = fine["lines"]["hits"]["hits"]
        found["lines"], found["documents"] = lines(fine["lines"]), [hit["_source"] for hit in hits]
        found["lines_total"] = _total(fine["lines"])
    if "newest" in fine:
        value = fine["newest"].get("aggregations", {}).get("newest", {}).get("value")
        found["newest"] = None if value is None else from_millis(value)
        found["ready"] = fine["newest"]["_shards"]["total"] > 0
    if "windows" in fine:
        found["windows"] = windows(fine["windows"])
    if "alerts" in fine:
        found["alerts"] = alerts(fine["alerts"])
        found["open_alerts"] = fine["alerts"].get("aggregations", {}).get("open", {}).get("doc_count", 0)
    return View(span, problems=problems, **found)


def over_time(events: Answer, errors: Answer) -> pl.DataFrame:
    """Events and errors a bar."""
    levels = {
        bucket["key"]: {
            "critical": bucket["critical"]["doc_count"],
            "error": bucket["doc_count"] - bucket["critical"]["doc_count"],
        }
        for bucket in _buckets(errors, "over_time")
    }
    rows = [
        {
            "time": from_millis(bucket["key"]),
            "events": bucket["doc_count"],
            **{level: levels.get(bucket["key"], {}).get(level, 0) for level in ERROR_LEVELS},
        }
        for bucket in _buckets(events, "over_time")
    ]
    return pl.DataFrame(rows, schema=OVER_TIME)


def by_service(errors: Answer, events_of: Mapping[str, int]) -> pl.DataFrame:
    """Errors, events and the share of errors by service; services without an error are not in it."""
    rows = []
    for bucket in _buckets(errors, "services"):
        events = events_of.get(bucket["key"])
        rate = bucket["doc_count"] / events if events else None
        rows.append({"service": bucket["key"], "count": bucket["doc_count"], "events": events, "error_rate": rate})
    return pl.DataFrame(rows, schema=BY_SERVICE)


def lines(answer: Answer) -> pl.DataFrame:
    """Log lines, newest first; messages are cut to what a table has room for."""
    rows = []
    for hit in answer["hits"]["hits"]:
        source = hit["_source"]
        ip = field_value(source, "source.ip")
        rows.append(
            {
                "time": parse_time(source.get("@timestamp")),
                **_texts(source, {"level": "log.level", "service": "service.name", "error_type": "error.type"}),
                "message": _text(source.get("message"))[:_LONGEST_MESSAGE],
                "ip": _text(ip[0] if isinstance(ip, list) and ip else ip),
                "id": hit["_id"],
            }
        )
    return pl.DataFrame(rows, schema=LINES)


def windows(answer: Answer) -> pl.DataFrame:
    """The newest window a service, most errors first."""
    rows = []
    for bucket in _buckets(answer, "services"):
        window = bucket["newest"]["hits"]["hits"][0]["_source"].get("window", {})
        durations = window.get("duration") or {}
        trend = [
            minute["errors"]["value"] / minute["events"]["value"] if minute["events"]["value"] else 0.0
            for minute in bucket["trend"]["buckets"]
        ]
        rows.append(
            {
                "service": bucket["key"],
                "window": parse_time(window.get("start")),
                **{name: window.get(name) for name in ("events", "errors", "critical", "error_rate")},
                "trend": trend,
                **{
                    f"{name}_ms": durations[name] / _MILLION if durations.get(name) is not None else None
                    for name in ("p50", "p95", "p99")
                },
                **{name: window.get(name) for name in ("users", "payments", "refunds", "late")},
            }
        )
    rows.sort(key=lambda row: (-(row["errors"] or 0), row["service"]))
    return pl.DataFrame(rows, schema=WINDOWS)


def alerts(answer: Answer) -> pl.DataFrame:
    """The alerts in the server's order."""
    rows = [
        {
            **_texts(source, {"status": "alert.status", "severity": "alert.severity", "rule": "rule.name"}),
            "service": _text(field_value(source, "service.name")) or "*",
            "message": _text(source.get("message")),
            "value": field_value(source, "alert.value"),
            "threshold": field_value(source, "alert.threshold"),
            "opened": parse_time(source.get("@timestamp")),
            "resolved": parse_time(field_value(source, "event.end")),
            "url": _link(field_value(source, "event.url")),
        }
        for source in (hit["_source"] for hit in answer["hits"]["hits"])
    ]
    return pl.DataFrame(rows, schema=ALERTS)


def csv(table: pl.DataFrame) -> bytes:
    """A table for a spreadsheet: UTF-8, times in ISO 8601.

    A cell that a spreadsheet would take for a formula gets an apostrophe in front, as logs hold what strangers wrote.
    Source: https://owasp.org/www-community/attacks/CSV_Injection
    """
    lists = [name for name, kind in table.schema.items() if isinstance(kind, pl.List)]
    texts = [name for name, kind in table.schema.items() if kind == pl.String]
    printable = table.drop(lists).with_columns(
        pl.when(pl.col(name).str.contains(r"^[=+\-@\t\r]")).then("'" + pl.col(name)).otherwise(pl.col(name)).alias(name)
        for name in texts
    )
    return printable.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.3fZ").encode()


def _buckets(answer: Answer, name: str) -> list[dict[str, Any]]:
    # An answer over no index at all has no aggregations.
    buckets: list[dict[str, Any]] = answer.get("aggregations", {}).get(name, {}).get("buckets", [])
    return buckets


def _counts(answer: Answer, name: str, schema: pl.Schema) -> pl.DataFrame:
    rows = [(bucket["key"], bucket["doc_count"]) for bucket in _buckets(answer, name)]
    return pl.DataFrame(rows, schema=schema, orient="row")


def _total(answer: Answer) -> int:
    return int(answer["hits"]["total"]["value"])


def _problems(answers: Mapping[str, Answer], filters: Filters) -> list[str]:
    problems: list[str] = []
    for answer in answers.values():
        if "error" in answer:
            reason = innermost_reason(answer)
            is_query = answer.get("status") == 400 and filters.query
            problems.append(
                f"The filter text cannot be read: {reason}" if is_query else f"Elasticsearch refuses: {reason}"
            )
        elif answer.get("timed_out"):
            problems.append(f"Elasticsearch needed more than {TIMEOUT_SECONDS} s: the figures are incomplete")
        elif answer["_shards"].get("failed"):
            problems.append("A part of the index cannot be searched now: the figures are incomplete")
    return list(dict.fromkeys(problems))


def _link(url: object) -> str | None:
    """A link that may be followed: of the web, not of a script."""
    return url if isinstance(url, str) and url.startswith(("http://", "https://")) else None


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _texts(source: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, str]:
    return {column: _text(field_value(source, name)) for column, name in fields.items()}


def parse_time(value: object) -> datetime | None:
    """A time of ISO 8601 in UTC, as which one without a zone is taken; None where it is none."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
