"""``logsluice report``: error reports as files and a page."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from logsluice.alerts.rules import load_rules
from logsluice.alerts.windows import moment_of
from logsluice.errors import LogsluiceError
from logsluice.event.moments import iso
from logsluice.extract import load_registry
from logsluice.jobs.spark.extractor_spec import ExtractorSpec
from logsluice.jobs.spark.session import spark_session
from logsluice.reports.events import Span
from logsluice.reports.plan import plan
from logsluice.reports.readers import WorkerInput
from logsluice.reports.report import Report, build_report
from logsluice.reports.writer import temporary_folder, write_report
from logsluice.runtime.terminal import Terminal, json_line, printable, progress_bar
from logsluice.runtime.time_expressions import parse_moment
from logsluice.settings import config_dir, load_settings

_ALERT = 2
_MOST_SHOWN = 5
_LONGEST_SHOWN = 100
_MICROS = 1_000_000
# The JVM only adds up small numbers here: code that is compiled well would come too late.
_CONF = {"spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1"}


def report(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="CSV logs and any other logs: files, globs, - for standard input, gzip and zstd too; "
            "elasticsearch for the results index, es:INDEX for another.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the report; one that is there is replaced.")],
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only events since then: 24h, 7d, or a UTC time.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Only events before then.")] = None,
    join: Annotated[
        bool, typer.Option("--join/--no-join", help="Join the lines of a stack trace, in files that are no CSV logs.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as one JSON object.")] = False,
    fail_on_alert: Annotated[
        bool, typer.Option("--fail-on-alert", help="Exit with 2 where a threshold of alerts.yaml was exceeded.")
    ] = False,
    config: Annotated[Path | None, typer.Option(help="Folder with settings, patterns, formats and alerts.")] = None,
) -> None:
    """Count the errors in logs: CSV and JSON files for machines, a page for people.

    Exits with 1 where a source could not be read; the report is about the others then.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Terminal(stderr=True)
    directory = config or config_dir()
    if config is not None and not config.is_dir():
        raise LogsluiceError("there is no such folder", where=str(config), why="--config")
    settings = load_settings(directory)
    rules = load_rules(directory)
    extractor_spec = ExtractorSpec.of(load_registry(directory), settings.time_zone)
    span = _span(since, until)
    with temporary_folder(out) as folder:
        planned = plan(sources, settings, span, folder, joined=join)
        for line in planned.problems:
            console.print(line, soft_wrap=True)
        if not planned.sources:
            raise typer.Exit(1)
        worker_input = WorkerInput(tuple(planned.tasks), extractor_spec, span, settings)
        with (
            spark_session("logsluice report", log_file=folder / "spark.log", conf=_CONF) as spark,
            _progress() as progress,
            build_report(spark, worker_input, planned.sources, rules, on_progress=progress) as (report, rejected),
        ):
            files = write_report(report, rejected, out, folder)
    for line in report.damage:
        console.print(line, soft_wrap=True)
    if as_json:
        sys.stdout.buffer.write(json_line(_summary(report, files)))
    else:
        Terminal().print(*_tables(report, out), sep="\n")
    if planned.problems or report.damage:
        raise typer.Exit(1)
    if fail_on_alert and report.alerts:
        raise typer.Exit(_ALERT)


def _span(since: str | None, until: str | None) -> Span:
    begin, end = (parse_moment(text) if text else None for text in (since, until))
    if begin and end and begin >= end:
        raise LogsluiceError("is not after --since", where=f"--until {until}")
    return Span(*(int(moment.timestamp() * _MICROS) if moment else None for moment in (begin, end)))


@contextmanager
def _progress() -> Iterator[Any]:
    with progress_bar(TextColumn("reading"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()) as shown:
        task = shown.add_task("", total=None)
        yield lambda completed, of: shown.update(task, completed=completed, total=of)


def _summary(report: Report, files: list[Path]) -> dict[str, Any]:
    return {
        "sources": report.sources,
        "events": report.events,
        "errors": report.errors,
        "critical": report.critical,
        "error_rate": round(report.error_rate, 6),
        "rejected": report.rejected,
        "first": iso(report.first) if report.first else None,
        "last": iso(report.last) if report.last else None,
        "alerts": [
            {
                "rule": alert.rule,
                "severity": alert.severity,
                "service": alert.service,
                "first": iso(moment_of(alert.first)),
                "last": iso(moment_of(alert.last)),
                "worst": alert.worst,
                "threshold": alert.threshold,
                "text": alert.text,
            }
            for alert in report.alerts
        ],
        "damage": report.damage,
        "files": [os.fspath(file) for file in files],
    }


def _tables(report: Report, out: Path) -> Iterator[Table | Text]:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(overflow="fold")
    table.add_column(justify="right")
    table.add_row("events", f"{report.events:,}")
    table.add_row("errors", f"{report.errors:,}")
    table.add_row("  critical", f"{report.critical:,}")
    table.add_row("error rate", f"{report.error_rate:.2%}")
    table.add_row("rejected rows", f"{report.rejected:,}")
    for title, frame in (("errors by type", report.by_type), ("errors per service", report.by_service)):
        if not frame.is_empty():
            table.add_row(title, "")
        for name, count in frame.head(_MOST_SHOWN).iter_rows():
            table.add_row(Text(f"  {printable(name)[:_LONGEST_SHOWN]}"), f"{count:,}")
    if report.alerts:
        table.add_row("thresholds exceeded", f"{len(report.alerts):,}")
    yield table
    for alert in report.alerts[:_MOST_SHOWN]:
        yield Text(f"  {iso(moment_of(alert.first))[:16]}Z  {printable(alert.text)}", style="red")
    yield Text(str(out / "report.html"))
