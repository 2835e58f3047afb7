"""``python -m bench``: everything, or the benchmarks that are named."""

from __future__ import annotations

import signal
import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from bench import dashboard, end_to_end, extract, ingest, query, windows
from bench.report import Report, save, show
from logsluice.jobs.spark.session import spark_session

_WIDTH = 120
_INGEST_SECONDS = 20.0
_FEW_LINES = 20_000
_QUESTIONS = 100


class Name(StrEnum):
    """A benchmark."""

    EXTRACT = "extract"
    PATTERNS = "patterns"
    END_TO_END = "end_to_end"
    MEMORY = "memory"
    WINDOWS = "windows"
    DASHBOARD = "dashboard"
    INGEST = "ingest"
    QUERY = "query"


def main(
    names: Annotated[list[Name] | None, typer.Argument(help="Which; all where left out.")] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Measured repetitions of each method.")] = 3,
    lines: Annotated[
        int, typer.Option(min=1_000, help="Lines; end_to_end takes half as many events, dashboard five times.")
    ] = 200_000,
    quick: Annotated[bool, typer.Option("--quick", help="One repetition on a tenth: does it run?")] = False,
) -> None:
    """Measure logsluice beside the methods there are without it; nothing else should run meanwhile."""
    wanted = names or list(Name)
    if quick:
        repeat, lines = 1, max(1_000, lines // 10)
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    log = Console(stderr=True, highlight=False).print
    reports: dict[str, Report] = {}
    if {Name.EXTRACT, Name.PATTERNS} & set(wanted):
        with tempfile.TemporaryDirectory(prefix="logsluice-bench-") as folder:
            conf = {"spark.master": "local[2]"}
            with spark_session("logsluice bench", log_file=Path(folder) / "spark.log", conf=conf) as spark:
                if Name.EXTRACT in wanted:
                    reports["extract"] = extract.run(spark, lines, repeat, log)
                    show(reports["extract"], console)
                if Name.PATTERNS in wanted:
                    reports["patterns"] = extract.run_more_patterns(spark, lines // 2, repeat, log)
                    show(reports["patterns"], console)
    if {Name.END_TO_END, Name.MEMORY} & set(wanted):
        reports["end_to_end"], reports["memory"] = end_to_end.run(lines // 2, repeat, log)
        show(reports["end_to_end"], console)
        show(reports["memory"], console)
    if Name.WINDOWS in wanted:
        reports["windows"] = windows.run(lines // 2, repeat, log)
        show(reports["windows"], console)
    if Name.DASHBOARD in wanted:
        reports["dashboard"] = dashboard.run(5 * lines, repeat, log)
        show(reports["dashboard"], console)
    if Name.INGEST in wanted:
        reports["ingest"] = ingest.run(_INGEST_SECONDS if lines > _FEW_LINES else _INGEST_SECONDS / 4, repeat, log)
        show(reports["ingest"], console)
    if Name.QUERY in wanted:
        reports["query"] = query.run(lines, _QUESTIONS, repeat, log)
        show(reports["query"], console)
    path = save(reports, {"repeat": repeat, "lines": lines})
    console.print(f"Written to {path}", soft_wrap=True)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """Unwind, so that no server is left behind."""
    sys.exit(143)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _leave)
    typer.run(main)
