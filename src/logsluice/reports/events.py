"""Events of all sources in the same columns, and the counts of equal ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import polars as pl
import pyarrow as pa

from logsluice.errors import LogsluiceError
from logsluice.extract.columns import by_distinct, read_column
from logsluice.extract.matching import ColumnMatcher
from logsluice.extract.severity import STATUS, counted_level
from logsluice.formats import normalize_level, parse_timestamps
from logsluice.patterns import Pattern
from logsluice.reports.csv_logs import CsvLayout, Rows, UnreadableRow
from logsluice.reports.error_types import error_types
from logsluice.reports.masking import endpoints, templates

ERROR_LEVELS: Final = ("critical", "error")
"""Levels that count as errors, worst first."""

UNKNOWN_SERVICE: Final = "unknown"
"""The service of events that name none."""

LONGEST_ROW: Final = 8_192
"""Characters of a rejected row that are kept; its source and line say where the rest is."""

COUNTS_DDL: Final = (
    "minute timestamp, level string, service string, error_type string, template string, ip string, endpoint string, "
    "events bigint, source string, line bigint, reason string, row string"
)
"""Either events (``minute`` to ``events``; what follows ``service`` is of errors alone), or a rejected row (``source``
to ``row``; without ``row`` it is about the whole source)."""

_ARROW: Final = {"timestamp": pa.timestamp("us", tz="UTC"), "string": pa.string(), "bigint": pa.int64()}
COUNTS_SCHEMA: Final = pa.schema(
    [(name, _ARROW[kind]) for name, kind in (column.split() for column in COUNTS_DDL.split(", "))]
)
"""The same, in Arrow's words."""

_EVENT: Final = {
    "instant": pl.Int64,
    **dict.fromkeys(("level", "message", "service", "ip", "endpoint", "error_type", "code"), pl.String),
    "status": pl.Int64,
}
FIELDS_READ: Final = {
    "service.name": "service",
    "url.path": "endpoint",
    "error.type": "error_type",
    "event.code": "code",
    STATUS: "status",
    "source.ip": "ip",
    "client.ip": "ip",
}
"""Fields that a report looks at besides time, level and message, with the column that each fills; of two that fill the
same the first wins."""

_POSSIBLE_FAILURE: Final = (
    pl.col("status").is_null() & pl.col("message").str.contains(r"(?-u:\b)5[0-9]{2}(?-u:\b)")
).fill_null(False)
"""Whether a message may have the status of an answer that failed."""

_KEYS: Final = [field.name for field in COUNTS_SCHEMA][:7]
_MINUTE: Final = 60_000_000
_LONGEST_NAME: Final = 200
_LONGEST_QUOTE: Final = 60


class Span(NamedTuple):
    """The event time that a report is about, in microseconds since the epoch; ``until`` is not in it."""

    since: int | None = None
    until: int | None = None


def events_of_rows(
    rows: Rows, layout: CsvLayout, patterns: Sequence[Pattern], reference_ms: int, zone: str
) -> tuple[pl.DataFrame, list[UnreadableRow]]:
    """The events of a CSV log's rows, and the rows that are none.

    Args:
        patterns: Find in errors' messages what has no column.
        reference_ms: When the log was written last, for timestamps without a year.
        zone: IANA zone of timestamps that carry none.
    """
    frame = rows.columns
    texts = {name: frame[name].fill_null("").str.strip_chars() for name in layout.columns}
    reference = pl.repeat(reference_ms, len(frame), dtype=pl.Int64, eager=True)
    instants = parse_timestamps(texts["timestamp"], layout.syntaxes, reference, zone)
    levels = by_distinct(texts["log_level"], normalize_level, pl.String())
    reasons = _reasons(texts, layout, instants, levels, frame["row"])
    unreadable = frame.select("line", reasons.alias("reason"), "row").drop_nulls("reason").iter_rows()
    columns: dict[str, pl.Series] = {"instant": instants, "level": levels, "message": texts["message"]}
    for name in ("service", "endpoint", "error_type"):
        if name in texts:
            columns[name] = texts[name].replace("", None)
    if "ip" in texts:
        columns["ip"] = read_column(texts["ip"], "ip")
    if "status" in texts:
        columns["status"] = read_column(texts["status"].str.extract(r"^([1-5][0-9]{2})(?:\.0)?$"), "long")
    events = with_all_columns(pl.DataFrame(columns).filter(reasons.is_null()))
    return _with_pattern_fields(events, patterns), [*rows.unreadable, *(UnreadableRow(*row) for row in unreadable)]


def _reasons(
    texts: dict[str, pl.Series], layout: CsvLayout, instants: pl.Series, levels: pl.Series, rows: pl.Series
) -> pl.Series:
    """Why a row is no event; null where it is one."""
    frame = pl.DataFrame({name: texts[name] for name in ("timestamp", "log_level", "message")}).with_columns(
        instants.rename("instant"), levels.rename("level"), rows.rename("row")
    )
    names = {column: layout.header[place] for column, place in layout.columns.items()}
    stamp, word, message = pl.col("timestamp"), pl.col("log_level"), pl.col("message")

    def quoted(column: str, text: pl.Expr, problem: str) -> pl.Expr:
        name = names[column].replace("{", "").replace("}", "")
        return pl.format(f"{name} '{{}}' is {problem}", text.str.slice(0, _LONGEST_QUOTE))

    repeats = (stamp.str.to_lowercase() == names["timestamp"].lower()) & (
        word.str.to_lowercase() == names["log_level"].lower()
    )
    problems = (
        (pl.col("row").str.contains("\x00", literal=True), pl.lit("has a NUL character in it")),
        (repeats, pl.lit("repeats the header")),
        (stamp == "", pl.lit(f"{names['timestamp']} is empty")),
        (pl.col("instant").is_null(), quoted("timestamp", stamp, "no date and time")),
        (word == "", pl.lit(f"{names['log_level']} is empty")),
        (pl.col("level").is_null(), quoted("log_level", word, "no level")),
        (message == "", pl.lit(f"{names['message']} is empty")),
    )
    return frame.select(pl.coalesce(pl.when(found).then(problem) for found, problem in problems)).to_series()


def _with_pattern_fields(events: pl.DataFrame, patterns: Sequence[Pattern]) -> pl.DataFrame:
    """What the patterns find in messages where no column says it: a status everywhere, the rest in errors."""
    events = _completed(events, _POSSIBLE_FAILURE, [pattern for pattern in patterns if _fills_status(pattern)])
    return _completed(events, counted_level("level", "status").is_in(ERROR_LEVELS).fill_null(False), patterns)


def _fills_status(pattern: Pattern) -> bool:
    return any(fact.field == STATUS for fact in pattern.fields.values())


def _completed(events: pl.DataFrame, chosen: pl.Expr, patterns: Sequence[Pattern]) -> pl.DataFrame:
    """The events, those that are chosen with what the patterns find in their messages."""
    wanted = events.filter(chosen)
    if wanted.is_empty():
        return events
    found = by_column(_pattern_fields(wanted["message"], patterns))
    wanted = wanted.with_columns(
        pl.coalesce(name, values.cast(_EVENT[name]).rename("found")).alias(name) for name, values in found.items()
    )
    return pl.concat([events.filter(~chosen), wanted])


def _pattern_fields(messages: pl.Series, patterns: Sequence[Pattern]) -> dict[str, pl.Series]:
    matcher = ColumnMatcher()
    ids = pl.int_range(len(messages), dtype=pl.UInt32, eager=True)
    facts: dict[str, pl.Series] = {}
    for pattern in patterns:
        groups = matcher.groups(pattern.compiled, messages, ids)
        for group, fact in pattern.fields.items():
            if fact.field in FIELDS_READ and fact.type != "date":
                values = read_column(groups[group], fact.type)
                before = facts.get(fact.field)
                facts[fact.field] = values if before is None else before.zip_with(before.is_not_null(), values)
    return facts


def patterns_read(patterns: Sequence[Pattern]) -> list[Pattern]:
    """The patterns that fill one of :data:`FIELDS_READ`."""
    return [pattern for pattern in patterns if any(fact.field in FIELDS_READ for fact in pattern.fields.values())]


def events_of_extracted(extracted: pa.RecordBatch) -> pl.DataFrame:
    """The events of an extracted batch; lines that could not be read are left out."""
    frame = pl.DataFrame(pl.from_arrow(extracted)).filter(pl.col("reason").is_null())
    columns = {
        "instant": frame["@timestamp"].cast(pl.Int64),
        "level": frame["log.level"],
        "message": frame["message"],
        **by_column({field: frame[field] for field in FIELDS_READ}),
    }
    return with_all_columns(pl.DataFrame(columns))


def by_column(fields: Mapping[str, pl.Series]) -> dict[str, pl.Series]:
    """Values by field as the columns that they fill."""
    columns: dict[str, pl.Series] = {}
    for field, name in FIELDS_READ.items():
        if field in fields:
            before = columns.get(name)
            columns[name] = fields[field] if before is None else before.zip_with(before.is_not_null(), fields[field])
    return columns


def with_all_columns(events: pl.DataFrame) -> pl.DataFrame:
    """Events with all their columns in order; those that are missing are null."""
    missing = [pl.lit(None, dtype=kind).alias(name) for name, kind in _EVENT.items() if name not in events.columns]
    return events.with_columns(missing).select(pl.col(name).cast(kind) for name, kind in _EVENT.items())


def count_events(events: pl.DataFrame, span: Span) -> pl.DataFrame:
    """Put equal events together: by minute, level and service, errors also by what happened.

    Returns:
        The columns ``minute`` (microseconds since the epoch) to ``events`` of :data:`COUNTS_SCHEMA`.
    """
    if span.since is not None:
        events = events.filter(pl.col("instant") >= span.since)
    if span.until is not None:
        events = events.filter(pl.col("instant") < span.until)
    events = events.with_columns(level=counted_level("level", "status"))
    is_error = pl.col("level").is_in(ERROR_LEVELS).fill_null(False)
    common = {
        "minute": pl.col("instant") // _MINUTE * _MINUTE,
        "level": pl.col("level"),
        "service": pl.coalesce(_clean_name("service"), pl.lit(UNKNOWN_SERVICE)),
    }
    nothing = {name: pl.lit(None, dtype=pl.String) for name in ("error_type", "template", "ip", "endpoint")}
    others = events.filter(~is_error).select(**common, **nothing)
    errors = events.filter(is_error)
    errors = errors.with_columns(template=templates(errors["message"].fill_null("")))
    errors = errors.with_columns(error_type=error_types(errors))
    errors = errors.select(
        **common,
        error_type=_clean_name("error_type"),
        template=pl.when(pl.col("template") != "").then("template").otherwise("error_type"),
        ip="ip",
        endpoint=endpoints(errors["endpoint"]),
    )
    return pl.concat([others, errors]).group_by(_KEYS, maintain_order=True).agg(events=pl.len().cast(pl.Int64))


def _clean_name(column: str) -> pl.Expr:
    """A name on one line, of bearable length; null where it is blank."""
    name = pl.col(column).str.replace_all(r"[\s\x00-\x1f\x7f]+", " ").str.strip_chars().str.slice(0, _LONGEST_NAME)
    return pl.when(name != "").then(name)


def counts_batch(counts: pl.DataFrame) -> pa.RecordBatch:
    """Counted events as a batch of :data:`COUNTS_SCHEMA`."""
    arrays = [
        counts[field.name].to_arrow().cast(field.type)
        if field.name in counts.columns
        else pa.nulls(counts.height, field.type)
        for field in COUNTS_SCHEMA
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=COUNTS_SCHEMA)


def rejected_batch(source: str, unreadable: Sequence[UnreadableRow], lines_before: int = 0) -> pa.RecordBatch:
    """Rejected rows as a batch of :data:`COUNTS_SCHEMA`."""
    rows = [
        {"source": source, "line": line + lines_before, "reason": reason, "row": row[:LONGEST_ROW]}
        for line, reason, row in unreadable
    ]
    return pa.RecordBatch.from_pylist(rows, schema=COUNTS_SCHEMA)


def damage_batch(source: str, error: LogsluiceError) -> pa.RecordBatch:
    """What is wrong with a source as a whole, as a batch of :data:`COUNTS_SCHEMA`."""
    reason = f"{error.what} ({error.why})" if error.why else error.what
    return pa.RecordBatch.from_pylist([{"source": source, "reason": reason}], schema=COUNTS_SCHEMA)
