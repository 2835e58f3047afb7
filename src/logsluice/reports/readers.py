"""Readers that run in Spark's workers: from parts of sources to counted events, a batch at a time."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import Final

import polars as pl
import pyarrow as pa

from logsluice.errors import LogsluiceError
from logsluice.inputs.files import Line, read_lines
from logsluice.inputs.streams import join
from logsluice.inputs.tables import TableRows
from logsluice.jobs.spark.extractor_spec import ExtractorSpec
from logsluice.jobs.spark.file_extraction import file_extractor, line_columns
from logsluice.jobs.spark.files import FilePart, LineBlock, read_part
from logsluice.patterns import Pattern
from logsluice.reports.csv_logs import UnreadableRow, read_rows
from logsluice.reports.events import (
    Span,
    count_events,
    counts_batch,
    damage_batch,
    events_of_extracted,
    events_of_rows,
    patterns_read,
    rejected_batch,
)
from logsluice.reports.tasks import CsvTask, LinesTask, StoredRange, Task
from logsluice.settings import Settings

_ROWS: Final = 10_000
_COUNTING_BYTES: Final = 4 << 20
_EMPTY: Final = "empty"


@dataclass(frozen=True, slots=True)
class WorkerInput:
    """What every worker gets; a batch that comes in names some of the tasks by number."""

    tasks: tuple[Task, ...]
    extractor_spec: ExtractorSpec
    span: Span
    settings: Settings


def read_batches(batches: Iterable[pa.RecordBatch], worker_input: WorkerInput) -> Iterator[pa.RecordBatch]:
    """For ``mapInArrow``: the counted events of the tasks whose numbers come in, in the column ``id``."""
    for batch in batches:
        for number in batch["id"].to_pylist():
            yield from _read(worker_input.tasks[number], worker_input)


def _read(task: Task, worker_input: WorkerInput) -> Iterator[pa.RecordBatch]:
    match task:
        case CsvTask():
            yield from _counted(task.part, _csv_events(task, worker_input), worker_input.span)
        case LinesTask():
            yield from _counted(task.part, _line_events(task, worker_input), worker_input.span)
        case StoredRange():
            from logsluice.reports.stored_events import stored_counts, stored_errors

            for counts in stored_counts(task, worker_input.settings):
                yield counts_batch(counts)
            for events in stored_errors(task, worker_input.settings):
                yield counts_batch(count_events(events, worker_input.span))


def _counted(
    part: FilePart, batches: Iterable[tuple[pl.DataFrame, list[UnreadableRow]]], span: Span
) -> Iterator[pa.RecordBatch]:
    """Events of a part, counted, and its bad rows with their numbers in the file; ends where it is damaged."""
    before: int | None = None
    try:
        for events, unreadable in batches:
            yield counts_batch(count_events(events, span))
            if unreadable:
                before = _lines_before(part) if before is None else before
                yield rejected_batch(part.name, unreadable, before)
    except LogsluiceError as error:
        yield damage_batch(part.name, error)


def _csv_events(task: CsvTask, worker_input: WorkerInput) -> Iterator[tuple[pl.DataFrame, list[UnreadableRow]]]:
    extractor_spec, part = worker_input.extractor_spec, task.part
    patterns = _patterns(extractor_spec)
    for rows in read_rows(part, task.layout):
        yield events_of_rows(rows, task.layout, patterns, part.modified_ms, extractor_spec.time_zone)


def _line_events(task: LinesTask, worker_input: WorkerInput) -> Iterator[tuple[pl.DataFrame, list[UnreadableRow]]]:
    part = task.part
    table = TableRows.at(part.path, part.start)
    for lines, numbers in _joined_events(part) if task.joined else _single_lines(part):
        chosen = file_extractor(worker_input.extractor_spec, part, task.joined)
        rows = replace(lines, values=table.read_values(lines.values, lines.cut))
        extracted = chosen.extract(line_columns(rows, part.modified_ms))
        yield (
            events_of_extracted(extracted),
            [
                UnreadableRow(number, reason.replace("_", " "), value.decode("utf-8", "replace"))
                for number, reason, value in zip(numbers, extracted["reason"].to_pylist(), lines.values, strict=True)
                if reason is not None and reason != _EMPTY
            ],
        )


def _single_lines(part: FilePart) -> Iterator[tuple[LineBlock, Sequence[int]]]:
    """Lines, each with its number in the part."""
    first = 1
    for lines in read_part(part, rows=_ROWS):
        yield lines, range(first, first + len(lines.values))
        first += len(lines.values)


def _joined_events(part: FilePart) -> Iterator[tuple[LineBlock, Sequence[int]]]:
    """Events of a whole file, each with the number of its first line."""
    starts: deque[tuple[int, int]] = deque()

    def numbered() -> Iterator[Line]:
        for number, line in enumerate(read_lines(part.path), start=1):
            starts.append((line.offset, number))
            yield line

    events = join(numbered())
    while block := list(islice(events, _ROWS)):
        numbers = []
        for event in block:
            while starts[0][0] != event.offset:
                starts.popleft()
            numbers.append(starts[0][1])
        cut = {row: event.headers for row, event in enumerate(block) if event.headers}
        yield LineBlock([event.value for event in block], cut), numbers


def _lines_before(part: FilePart) -> int:
    """How many lines of the file lie before the first one of a part."""
    if not part.start:
        return 0
    count, remaining = 0, part.start
    last = b"\n"
    with part.path.open("rb") as file:
        while remaining and (block := file.read(min(remaining, _COUNTING_BYTES))):
            count += block.count(b"\n")
            remaining -= len(block)
            last = block[-1:]
    # The line that the part before has begun is that part's.
    return count + (last != b"\n")


@lru_cache(maxsize=1)
def _patterns(extractor_spec: ExtractorSpec) -> list[Pattern]:
    return patterns_read(pickle.loads(extractor_spec.registry).patterns.patterns)  # noqa: S301
