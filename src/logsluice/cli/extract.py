"""``logsluice extract``: extracts facts from files with Spark, without a server."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import typer
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TransferSpeedColumn
from rich.table import Table

from logsluice.errors import LogsluiceError
from logsluice.extract import load_registry
from logsluice.inputs.files import STDIN, expand, spooled_copy
from logsluice.jobs.spark.extractor_spec import ExtractorSpec
from logsluice.jobs.spark.file_extraction import Extracted, extract_files
from logsluice.jobs.spark.files import PART_BYTES, FilePart, plan_parts
from logsluice.jobs.spark.session import spark_context
from logsluice.runtime.terminal import JsonOutput, Terminal, progress_bar
from logsluice.settings import config_dir, load_settings

_LEAST_PART_BYTES = 1 << 20
_PARTS_A_CORE = 3
# The JVM only hands out tasks here: code that is compiled well would come too late.
_CONF = {"spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1"}


def extract(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Files, globs, or - for standard input; gzip and zstd too."),
    ],
    config: Annotated[Path | None, typer.Option(help="Folder with settings, patterns and formats.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write here instead of standard output.")] = None,
    join: Annotated[bool, typer.Option("--join", help="Join the lines of a stack trace.")] = False,
) -> None:
    """Find the facts in files: one JSON object a line, in the order of the input, then a summary."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started_at = time.monotonic()
    console = Terminal(stderr=True)
    directory = config or config_dir()
    if config is not None and not config.is_dir():
        raise LogsluiceError("there is no such folder", where=str(config), why="--config")
    settings = load_settings(directory)
    extractor_spec = ExtractorSpec.of(load_registry(directory), settings.time_zone)
    with _scratch(out) as scratch:
        parts, problems = _plan(files, scratch, join)
        for line in problems:
            console.print(line, soft_wrap=True)
        columns = (
            TextColumn("extracting"),
            BarColumn(),
            TaskProgressColumn(),
            TransferSpeedColumn(),
            TimeElapsedColumn(),
        )
        with (
            spark_context("logsluice extract", log_file=scratch / "spark.log", conf=_CONF) as spark,
            _output(out) as stream,
            progress_bar(*columns) as progress,
        ):
            task = progress.add_task("", total=sum(part.size for part in parts))
            found = extract_files(
                spark,
                parts,
                extractor_spec,
                stream,
                scratch,
                join=join,
                on_progress=lambda size: progress.advance(task, size),
            )
    for line in found.damaged:
        console.print(line, soft_wrap=True)
    console.print(_summary(found, time.monotonic() - started_at))
    if problems or found.damaged:
        raise typer.Exit(1)


def _plan(names: Sequence[str], scratch: Path, join: bool) -> tuple[list[FilePart], list[str]]:
    """What to read, and a line for each file that can't be."""
    found: list[tuple[Path, str]] = []
    for name in expand(names):
        path = Path(name).absolute()
        if name == STDIN or path.is_fifo() or path.is_char_device():
            path = spooled_copy(name, scratch)
        found.append((path, name))
    cores = os.cpu_count() or 1
    total = sum(path.stat().st_size for path, _ in found if path.is_file())
    size = min(max(total // (cores * _PARTS_A_CORE), _LEAST_PART_BYTES), PART_BYTES)
    parts: list[FilePart] = []
    problems: list[str] = []
    for path, name in found:
        try:
            parts += plan_parts(path, name, whole=join, part_bytes=size)
        except LogsluiceError as error:
            problems.append(str(error))
    return parts, problems


@contextmanager
def _scratch(out: Path | None) -> Iterator[Path]:
    """A folder for pieces on their way out; beside the output, which has room for them."""
    beside = out.absolute().parent if out else None
    if beside and not beside.is_dir():
        raise LogsluiceError("there is no such folder", where=str(beside), why="--out")
    try:
        folder = tempfile.TemporaryDirectory(prefix=".logsluice-extract-", dir=beside, ignore_cleanup_errors=True)
    except OSError as error:
        raise LogsluiceError(
            "cannot be written", where=str(beside or tempfile.gettempdir()), why=error.strerror
        ) from None
    with folder as name:
        yield Path(name)


@contextmanager
def _output(out: Path | None) -> Iterator[BinaryIO]:
    """Where the records go; a file appears under its name when it is complete."""
    if out is None:
        try:
            plain = sys.stdout.buffer
            yield cast(BinaryIO, JsonOutput(plain)) if sys.stdout.isatty() else plain
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read has seen enough (`| head`); Python must not complain again at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        return
    if out.exists() and not out.is_file():
        with out.open("wb") as stream:
            yield stream
        return
    unfinished = out.with_name(f".{out.name}.unfinished-{os.getpid()}")
    try:
        with unfinished.open("wb") as stream:
            yield stream
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)


def _summary(found: Extracted, seconds: float) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("lines", f"{found.lines:,}")
    table.add_row("blank", f"{found.blank:,}")
    if found.summary.events != found.lines - found.blank:
        table.add_row("events", f"{found.summary.events:,}")
    for title, counts in (
        ("recognised by format", found.summary.datasets),
        ("matches by pattern", found.summary.patterns),
        ("rejected by reason", found.summary.reasons),
        ("remarks on the input", found.summary.tags),
    ):
        _add(table, title, counts)
    table.add_row("seconds", f"{seconds:,.1f}")
    table.add_row("lines per second", f"{found.lines / seconds:,.0f}")
    return table


def _add(table: Table, title: str, counts: Counter[str]) -> None:
    if counts:
        table.add_row(title, "")
    for name, count in counts.most_common():
        table.add_row(f"  {name}", f"{count:,}")
