"""How far a long piece of work is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from logsluice.runtime.terminal import progress_bar

_LOG_EVERY_SECONDS = 10.0

log = structlog.get_logger(__name__)


@contextmanager
def progress(total: int) -> Iterator[Callable[[int], None]]:
    """Show progress towards ``total`` events; gives a function that takes how many more are done."""
    began = logged_at = time.monotonic()
    done = 0
    columns = (TextColumn("events"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    bar = progress_bar(*columns, transient=False)

    def advance(events: int) -> None:
        nonlocal done, logged_at
        done += events
        bar.advance(task, events)
        if bar.disable and time.monotonic() - logged_at > _LOG_EVERY_SECONDS:
            logged_at = time.monotonic()
            log.info("progress", events=done, of=total, percent=round(100 * done / total, 1))

    with bar:
        task = bar.add_task("", total=total)
        yield advance
    seconds = max(time.monotonic() - began, 1e-9)
    log.info("done", events=done, seconds=round(seconds, 1), events_per_second=round(done / seconds))
