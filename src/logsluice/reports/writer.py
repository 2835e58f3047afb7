"""Writes the files of a report, each complete under its name or not there; a second report replaces the first."""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import orjson
import polars as pl
import psutil

from logsluice.errors import LogsluiceError
from logsluice.reports.page import render_page
from logsluice.reports.report import RejectedRow, Report
from logsluice.runtime.time_expressions import iso_seconds

_TEMPORARY_PREFIX: Final = ".unfinished-report-"
_RATE_DIGITS: Final = 6


@contextmanager
def temporary_folder(out: Path) -> Iterator[Path]:
    """A folder inside ``out``, which is made where it is not there, for files on their way; gone in the end.

    What a report that was killed left behind goes too.

    Raises:
        LogsluiceError: ``out`` is no folder, or cannot be written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        for folder in out.glob(f"{_TEMPORARY_PREFIX}*"):
            owner = folder.name.removeprefix(_TEMPORARY_PREFIX).partition("-")[0]
            if owner.isdecimal() and not psutil.pid_exists(int(owner)):
                shutil.rmtree(folder, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{_TEMPORARY_PREFIX}{os.getpid()}-", dir=out))
    except (FileExistsError, NotADirectoryError):
        raise LogsluiceError("is not a folder", where=str(out), why="--out") from None
    except OSError as error:
        raise LogsluiceError("cannot be written", where=str(out), why=error.strerror) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_report(report: Report, rejected: Iterable[RejectedRow], out: Path, folder: Path) -> list[Path]:
    """Write every file of a report into a :func:`temporary_folder`, then put each in its place; gives the files.

    Raises:
        LogsluiceError: A file cannot be written.
    """
    try:
        names = list(_write(report, rejected, folder))
        for name in names:
            (out / name).parent.mkdir(exist_ok=True)
            (folder / name).replace(out / name)
    except OSError as error:
        raise LogsluiceError("cannot be written", where=str(error.filename or out), why=error.strerror) from None
    return [out / name for name in names]


def _write(report: Report, rejected: Iterable[RejectedRow], folder: Path) -> Iterator[str]:
    (folder / "csv").mkdir()
    (folder / "json").mkdir()
    for name, frame in (
        ("csv/errors_by_type.csv", report.by_type),
        ("csv/errors_by_hour.csv", report.by_hour),
        ("csv/top_errors.csv", report.by_message),
        ("csv/errors_per_ip.csv", report.by_ip),
        ("csv/errors_per_service.csv", report.by_service),
    ):
        _write_csv(folder / name, frame.columns, frame.iter_rows())
        yield name
    _write_csv(folder / "rejected.csv", ["source", "line", "reason", "row"], rejected)
    yield "rejected.csv"
    trends = report.trends.with_columns(error_rate=(pl.col("errors") / pl.col("events")).round(_RATE_DIGITS))
    for name, frame in (
        ("json/error_trends.json", trends),
        ("json/errors_by_day.json", report.by_day),
        ("json/errors_by_severity.json", report.by_severity),
    ):
        records = [{key: _plain(value) for key, value in row.items()} for row in frame.iter_rows(named=True)]
        (folder / name).write_bytes(orjson.dumps(records, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        yield name
    (folder / "report.html").write_text(render_page(report), encoding="utf-8")
    yield "report.html"


def _write_csv(path: Path, header: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([_plain(value) for value in row] for row in rows)


def _plain(value: Any) -> Any:
    """A moment as ISO 8601 in UTC, everything else as it is."""
    if isinstance(value, datetime):
        return iso_seconds(value)
    return value.isoformat() if isinstance(value, date) else value
