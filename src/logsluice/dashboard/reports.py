"""Reads the files that ``logsluice report`` writes as tables, for where there is no server."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from logsluice.dashboard.tables import parse_time
from logsluice.errors import LogsluiceError

BY_HOUR: Final = pl.Schema({"time": pl.Datetime("ms", "UTC"), "count": pl.Int64()})
_FILES: Final = {
    "errors_by_type": "error_type",
    "errors_by_hour": "hour",
    "top_errors": "message",
    "errors_per_ip": "ip",
    "errors_per_service": "service",
}
_SEVERITIES: Final = "errors_by_severity"
_TRENDS: Final = "error_trends"


@dataclass(frozen=True)
class Report:
    """A folder of report files.

    Attributes:
        written_at: When the newest of them was written.
        tables: By the file's name without its ending: the columns that the files have.
        by_hour: ``errors_by_hour``, with moments.
        events: All events that were counted; None where that file is not there.
        problems: Files that could not be read, a line each.
    """

    folder: Path
    written_at: datetime
    tables: Mapping[str, pl.DataFrame]
    by_hour: pl.DataFrame
    severities: Mapping[str, int] = field(default_factory=dict)
    events: int | None = None
    problems: Sequence[str] = ()

    @property
    def errors(self) -> int:
        """All errors: each has a type and an hour or lacks one of them, so the greater sum."""
        sums = [int(table["count"].sum()) for table in self.tables.values()]
        return max(sums, default=0)


def is_report(folder: Path) -> bool:
    """Whether there is a report in a folder."""
    return any((folder / "csv" / f"{name}.csv").is_file() for name in _FILES)


def read_report(folder: Path) -> Report:
    """Read what there is; a file that is not there is an empty table.

    Raises:
        LogsluiceError: There is no report in the folder.
    """
    if not is_report(folder):
        raise LogsluiceError(
            "holds no report", where=str(folder), hint=f"`logsluice report SOURCE... --out {folder}` writes one"
        )
    problems: list[str] = []
    tables: dict[str, pl.DataFrame] = {}
    times = [0.0]
    for name, column in _FILES.items():
        path = folder / "csv" / f"{name}.csv"
        schema = pl.Schema({column: pl.String(), "count": pl.Int64()})
        tables[name] = schema.to_frame()
        if not path.is_file():
            continue
        times.append(path.stat().st_mtime)
        try:
            tables[name] = pl.read_csv(path, schema_overrides=schema, columns=[column, "count"])
        except (pl.exceptions.PolarsError, OSError) as error:
            problems.append(f"{path}: is not a file of `logsluice report` ({str(error).splitlines()[0]})")
    severities = _records(folder, _SEVERITIES, "severity", problems)
    trends = _records(folder, _TRENDS, "events", problems)
    return Report(
        folder,
        datetime.fromtimestamp(max(times), UTC),
        tables,
        _by_hour(tables["errors_by_hour"]),
        {str(row["severity"]): int(row["count"]) for row in severities},
        sum(int(row["events"]) for row in trends) if trends else None,
        problems,
    )


def _by_hour(table: pl.DataFrame) -> pl.DataFrame:
    rows = [(moment, count) for hour, count in table.iter_rows() if (moment := parse_time(hour)) is not None]
    return pl.DataFrame(rows, schema=BY_HOUR, orient="row").sort("time")


def _records(folder: Path, name: str, key: str, problems: list[str]) -> list[dict[str, Any]]:
    """The records of a JSON file; none where it is not there, or is something else, which is a problem."""
    path = folder / "json" / f"{name}.json"
    if not path.is_file():
        return []
    try:
        content = json.loads(path.read_text())
        if not isinstance(content, list) or not all(isinstance(row, dict) and key in row for row in content):
            raise ValueError(f"no list of records with `{key}`")
    except (ValueError, OSError) as error:
        problems.append(f"{path}: is not a file of `logsluice report` ({error})")
        return []
    return content
