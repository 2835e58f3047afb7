"""Finished windows as rows of a table, as CSV, and as documents: pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import orjson
import polars as pl

from logsluice.elasticsearch.bulk import IndexAction
from logsluice.event.ecs import LEVELS
from logsluice.event.identity import bounded_id
from logsluice.event.records import index_name, iso_millis
from logsluice.jobs.windows.clock import CLOCK_ROW, HOUR

Key = tuple[int, str]
"""A window's start in microseconds since the epoch, and its service."""

_LEVELS = tuple(f"level_{level}" for level in LEVELS)
_TIME = pl.Datetime("us", "UTC")
WINDOW_SCHEMA: dict[str, Any] = {
    "start": _TIME,
    "end": _TIME,
    "service": pl.String,
    "events": pl.Int64,
    "errors": pl.Int64,
    "critical": pl.Int64,
    "error_rate": pl.Float64,
    **dict.fromkeys(_LEVELS, pl.Int64),
    "users": pl.Int64,
    "durations": pl.Int64,
    "duration_p50": pl.Int64,
    "duration_p95": pl.Int64,
    "duration_p99": pl.Int64,
    "payments": pl.Int64,
    "refunds": pl.Int64,
    "payment_amounts": pl.String,
    "refund_amounts": pl.String,
    "late": pl.Int64,
}
"""The columns of the files. Durations are nanoseconds; amounts are JSON objects: decimal text by ISO 4217 code."""

_QUANTILES = ("duration_p50", "duration_p95", "duration_p99")


class FinishedWindows(NamedTuple):
    """Windows that take nothing more.

    Attributes:
        rows: As of :data:`WINDOW_SCHEMA`, a dictionary each, by window.
        appended: When Kafka took the last event of each, microseconds since the epoch.
    """

    rows: dict[Key, dict[str, Any]]
    appended: dict[Key, int]


def finished_windows(rows: Iterable[Mapping[str, Any]], window: int) -> FinishedWindows:
    """Put together what Spark gives of finished windows.

    Args:
        window: A window's length in microseconds.
    """
    found: dict[Key, dict[str, Any]] = {}
    appended: dict[Key, int] = {}
    money: list[Mapping[str, Any]] = []
    for row in rows:
        if row["money"] == CLOCK_ROW:
            continue
        if row["money"] is not None:
            money.append(row)
            continue
        key = (row["start"], row["service"])
        entry = empty_window(key, window)
        entry |= {name: row[name] for name in ("events", *_LEVELS, "users", "durations", "payments", "refunds")}
        entry |= dict(zip(_QUANTILES, row["quantiles"] or (None,) * len(_QUANTILES), strict=True))
        entry["critical"] = row["level_critical"]
        entry["errors"] = row["level_error"] + row["level_critical"]
        entry["error_rate"] = entry["errors"] / row["events"]
        found[key] = entry
        appended[key] = row["appended"]
    amounts: dict[Key, dict[str, dict[str, str]]] = {}
    for row in money:
        kind, _, currency = row["money"].partition(" ")
        by_kind = amounts.setdefault((row["start"], row["service"]), {})
        by_kind.setdefault(kind, {})[currency] = amount_text(row["amount"], row["scale"])
    for key, by_kind in amounts.items():
        found[key] |= {f"{kind}_amounts": _json(values) for kind, values in by_kind.items()}
    return FinishedWindows(found, appended)


def empty_window(key: Key, window: int) -> dict[str, Any]:
    """A window in which nothing was counted."""
    start, service = key
    counts = ("events", "errors", "critical", *_LEVELS, "users", "durations", "payments", "refunds", "late")
    return {
        "start": start,
        "end": start + window,
        "service": service,
        **dict.fromkeys(counts, 0),
        **dict.fromkeys(_QUANTILES),
        "error_rate": 0.0,
        "payment_amounts": "{}",
        "refund_amounts": "{}",
    }


def amount_text(amount: Decimal, scale: int) -> str:
    """A sum with as many decimals as the finest of its parts had."""
    return str(amount.quantize(Decimal(1).scaleb(-scale)))


def windows_frame(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows as a table."""
    raw = {name: pl.Int64 if kind == _TIME else kind for name, kind in WINDOW_SCHEMA.items()}
    return pl.DataFrame(list(rows), schema=raw).cast({"start": _TIME, "end": _TIME})


def windows_by_key(frame: pl.DataFrame) -> dict[Key, dict[str, Any]]:
    """The other end of :func:`windows_frame`, by window."""
    plain = frame.with_columns(pl.col("start", "end").dt.epoch("us"))
    return {(row["start"], row["service"]): row for row in plain.iter_rows(named=True)}


def merge_windows(before: pl.DataFrame | None, new: pl.DataFrame) -> pl.DataFrame:
    """Both in order; of a window that is in both, the new one."""
    both = new if before is None else pl.concat([before.select(new.columns), new])
    return both.unique(["start", "service"], keep="last").sort("start", "service")


def windows_by_hour(frame: pl.DataFrame) -> dict[int, pl.DataFrame]:
    """The windows of each hour, by its start in microseconds since the epoch."""
    hours = frame.with_columns((pl.col("start").dt.epoch("us") // HOUR * HOUR).alias("_hour"))
    return {hour: part for (hour,), part in hours.partition_by("_hour", as_dict=True, include_key=False).items()}


def windows_csv(frame: pl.DataFrame) -> bytes:
    """For people: times in ISO 8601, a header line."""
    return frame.write_csv(datetime_format="%Y-%m-%dT%H:%M:%SZ").encode()


def window_document(row: Mapping[str, Any]) -> dict[str, Any]:
    """A window as it is indexed; what it has nothing of is left out."""
    start, end = (iso_millis(row[name] // 1000) for name in ("start", "end"))
    window: dict[str, Any] = {
        "start": start,
        "end": end,
        "levels": {level: row[f"level_{level}"] for level in LEVELS},
        **{name: row[name] for name in ("events", "errors", "critical", "error_rate", "users", "durations")},
        **{name: row[name] for name in ("payments", "refunds", "late")},
        "payment_amounts": orjson.loads(row["payment_amounts"]),
        "refund_amounts": orjson.loads(row["refund_amounts"]),
    }
    if row["durations"]:
        window["duration"] = {name.partition("_")[2]: row[name] for name in _QUANTILES}
    return {"@timestamp": start, "service": {"name": row["service"]}, "window": window}


def index_action(row: Mapping[str, Any], alias: str) -> IndexAction:
    """The write of a whole window: under its start and service, so that writing twice is writing once."""
    name, index = _id_and_index(row, alias)
    return IndexAction(index, name, "index", None, orjson.dumps(window_document(row)))


def late_action(row: Mapping[str, Any], alias: str) -> IndexAction:
    """The write of the number of late events alone, beside whatever is known of the window."""
    name, index = _id_and_index(row, alias)
    change = {"doc": {"window": {"late": row["late"]}}, "upsert": window_document(row)}
    return IndexAction(index, name, "update", None, orjson.dumps(change))


def _id_and_index(row: Mapping[str, Any], alias: str) -> tuple[str, str]:
    milliseconds = row["start"] // 1000
    return bounded_id(f"{iso_millis(milliseconds)}|{row['service']}"), index_name(alias, milliseconds)


def _json(values: Mapping[str, str]) -> str:
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode()
