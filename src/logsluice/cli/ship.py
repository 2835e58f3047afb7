"""``logsluice ship``: ships log files to Kafka."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.progress import BarColumn, DownloadColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from logsluice.errors import LogsluiceError
from logsluice.inputs.files import STDIN, expand, path_exists
from logsluice.runtime.logging import configure_logging
from logsluice.runtime.metrics import serve_metrics
from logsluice.runtime.retry import StoppedError, stop_on_signals
from logsluice.runtime.terminal import progress_bar
from logsluice.settings import load_settings
from logsluice.ship.run import ship as ship_files
from logsluice.ship.shipper import ShipOptions, ShipSummary

log = structlog.get_logger(__name__)


def ship(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...|-",
            help="Files, globs, or - for standard input; gzip and zstd too.",
        ),
    ],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as the files grow and are rotated, like tail -F.")
    ] = False,
    join: Annotated[bool, typer.Option("--join/--no-join", help="Make one event of a stack trace's lines.")] = True,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="The most lines a second; without it, as fast as Kafka takes them.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Ship from the beginning what was shipped.")] = False,
    config: Annotated[Path | None, typer.Option(help="Folder with the settings.")] = None,
) -> None:
    """Ship log files into Kafka, each event once, going on where the last run stopped.

    However a run ended, the next one goes on behind the last event that Kafka
    has. A file is known by its inode and first bytes: renamed it is the same,
    a compressed copy is another. Standard input cannot be read twice: what was
    on its way when a run was killed may be missing from Kafka.
    """
    configure_logging()
    # Tens of thousands of records on their way are no garbage: looking less often saves a tenth of the time.
    gc.set_threshold(50_000, 20, 100)
    stop = stop_on_signals()
    settings = load_settings(config)
    if follow:
        _serve(settings.metrics.host, settings.metrics.ship)
    options = ShipOptions(follow=follow, join=join, rate=rate, again=again)
    bar = progress_bar(
        TextColumn("{task.fields[events]:>11,} events"),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[speed]:>8,} lines/s"),
        TimeRemainingColumn(),
    )
    with bar:
        task = bar.add_task("", total=None if follow else _total_bytes(files), events=0, speed=0)

        def listen(summary: ShipSummary) -> None:
            bar.update(task, completed=summary.done_bytes, events=summary.events, speed=_speed(summary))

        try:
            summary = ship_files(files, settings, options, stop, listen)
        except StoppedError:
            raise typer.Exit(130) from None
    bar.console.print(_summary_line(summary), soft_wrap=True)
    if summary.failures:
        raise typer.Exit(1)
    if summary.unfinished:
        raise typer.Exit(130)


def _serve(host: str, port: int) -> None:
    """A second follower on the same machine goes without metrics rather than not at all."""
    try:
        serve_metrics(host, port)
    except LogsluiceError as error:
        log.warning(str(error))


def _total_bytes(names: list[str]) -> int | None:
    if STDIN in names:
        return None
    return sum(Path(name).stat().st_size for name in expand(names) if path_exists(name))


def _speed(summary: ShipSummary) -> int:
    return round(summary.lines / summary.seconds) if summary.seconds else 0


def _summary_line(summary: ShipSummary) -> Text:
    notes = [
        f"{count:,} {word}"
        for count, word in (
            (summary.joined, "of several lines"),
            (summary.cut, "cut to 1,000,000 bytes"),
            (summary.already, "more were there already"),
        )
        if count
    ]
    parts = [
        f"{summary.files:,} files" if summary.files != 1 else "1 file",
        f"{summary.lines:,} lines ({summary.blank:,} blank)",
        f"{summary.events:,} events" + (f" ({', '.join(notes)})" if notes else ""),
        f"{summary.seconds:.1f} s",
        f"{_speed(summary):,} lines/s",
    ]
    if summary.unchanged:
        parts.insert(1, f"{summary.unchanged:,} unchanged")
    if summary.unfinished:
        parts.append(f"{summary.unfinished:,} not to the end: run it again to go on")
    line = Text("shipped " + ", ".join(parts))
    return line + Text(f", {len(summary.failures):,} failed", "red") if summary.failures else line
