"""Extraction of files on Spark's workers: every line's fields as one JSON object a line, in the order of the input."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson
import pyarrow as pa

from logsluice.errors import LogsluiceError
from logsluice.extract import (
    HEAD_LINES,
    BatchSummary,
    ColumnarExtractor,
    documents,
    dominant_format,
    input_columns,
    summarize,
)
from logsluice.inputs.files import STDIN
from logsluice.inputs.tables import TableRows
from logsluice.jobs.spark.extractor_spec import ExtractorSpec, extractor, extractor_preferring
from logsluice.jobs.spark.failures import describe_error
from logsluice.jobs.spark.files import FilePart, LineBlock, read_events, read_part

if TYPE_CHECKING:
    from pyspark import SparkContext

Task = tuple[int, tuple[FilePart, ...]]

_ROWS = 10_000
_POLL_SECONDS = 0.05
_EMPTY = "empty"


@dataclass(slots=True)
class Extracted:
    """What came of a number of lines.

    Attributes:
        summary: Counts of the events found, blank lines not among them.
        lines: Lines read.
        blank: Lines that were left out because there is nothing on them.
        damaged: Files that could not be read to their end, with the reason.
    """

    summary: BatchSummary = field(default_factory=BatchSummary)
    lines: int = 0
    blank: int = 0
    damaged: list[str] = field(default_factory=list)

    def __iadd__(self, other: Extracted) -> Extracted:
        self.summary += other.summary
        self.lines += other.lines
        self.blank += other.blank
        self.damaged += other.damaged
        return self


def extract_files(
    spark: SparkContext,
    parts: Sequence[FilePart],
    extractor_spec: ExtractorSpec,
    out: BinaryIO,
    scratch: Path,
    *,
    join: bool = False,
    on_progress: Callable[[int], None] = lambda _bytes: None,
) -> Extracted:
    """Extract from parts of files on all cores and write the records of all of them, in order.

    Args:
        spark: Where to run; its workers must see the files and ``scratch``.
        scratch: An empty folder for finished pieces on their way to ``out``.
        join: Join the lines of one event; the parts must be whole files.
        on_progress: Told how many bytes of input were finished, each time.

    Raises:
        LogsluiceError: Spark gave up.
    """
    tasks = list(enumerate(_grouped(parts)))
    total = Extracted()
    if not tasks:
        return total
    work = partial(_extract_parts, extractor_spec=extractor_spec, scratch=scratch, join=join)
    with ThreadPoolExecutor(1, thread_name_prefix="extract") as pool:
        running = pool.submit(lambda: spark.parallelize(tasks, len(tasks)).map(work).collect())
        try:
            for number, group in tasks:
                _append(_piece(scratch, number), out, running)
                on_progress(sum(part.size for part in group))
            results = running.result()
        except BaseException:
            spark.cancelAllJobs()
            raise
    for result in results:
        total += result
    return total


def _grouped(parts: Sequence[FilePart], least_bytes: int = 1 << 20) -> Iterator[tuple[FilePart, ...]]:
    """Put neighbours together until a task is worth its cost."""
    group: list[FilePart] = []
    size = 0
    for part in parts:
        group.append(part)
        size += part.size
        if size >= least_bytes:
            yield tuple(group)
            group, size = [], 0
    if group:
        yield tuple(group)


def _append(piece: Path, out: BinaryIO, running: Future[Any]) -> None:
    """Wait for a piece and move its content to the output."""
    while not piece.exists():
        if running.done():
            if error := running.exception():
                raise LogsluiceError("Spark gave up", why=describe_error(error)) from None
            break
        time.sleep(_POLL_SECONDS)
    with piece.open("rb") as file:
        shutil.copyfileobj(file, out, 1 << 20)
    piece.unlink()


def _piece(scratch: Path, number: int) -> Path:
    return scratch / f"{number}.jsonl"


def _extract_parts(task: Task, *, extractor_spec: ExtractorSpec, scratch: Path, join: bool) -> Extracted:
    """Runs in a worker. The piece appears under its name when it is complete, whoever else tried before."""
    number, parts = task
    result = Extracted()
    with tempfile.NamedTemporaryFile(dir=scratch, delete=False) as file:
        for part in parts:
            _extract_part(part, extractor_spec, file, result, join)
    Path(file.name).replace(_piece(scratch, number))
    return result


def _extract_part(part: FilePart, extractor_spec: ExtractorSpec, file: Any, result: Extracted, join: bool) -> None:
    read = read_events if join else read_part
    try:
        table = TableRows.at(part.path, part.start)
        for lines in read(part, rows=_ROWS):
            rows = table.read_values(lines.values, lines.cut)
            columns = line_columns(replace(lines, values=rows), part.modified_ms)
            extracted = file_extractor(extractor_spec, part, join).extract(columns)
            records = _records(extracted, lines.values, rows, part)
            file.writelines(records)
            summary = summarize(extracted)
            blank = extracted.num_rows - len(records)
            summary.events -= blank
            summary.reasons = +(summary.reasons - Counter({_EMPTY: blank}))
            result.summary += summary
            result.blank += blank + lines.left_out
            result.lines += len(lines.values) + lines.joined_lines + lines.left_out
    except LogsluiceError as error:
        result.damaged.append(str(error))


def file_extractor(extractor_spec: ExtractorSpec, part: FilePart, join: bool) -> ColumnarExtractor:
    """The extractor for a part of a file: it prefers the format that most of the file's first lines have."""
    size = None if part.end is None else part.path.stat().st_size
    return _whole_file_extractor(extractor_spec, replace(part, start=0, end=size, size=size or part.size), join)


@lru_cache(maxsize=16)
def _whole_file_extractor(extractor_spec: ExtractorSpec, whole: FilePart, join: bool) -> ColumnarExtractor:
    blocks = (read_events if join else read_part)(whole, rows=HEAD_LINES)
    head = next(iter(blocks), None)
    if head is None or not head.values:
        return extractor(extractor_spec)
    lines = line_columns(head, whole.modified_ms)
    return extractor_preferring(extractor_spec, dominant_format(extractor(extractor_spec), lines))


def line_columns(lines: LineBlock, modified_ms: int) -> pa.RecordBatch:
    """Lines as an extractor takes them; years that one lacks are found from when its file was written last."""
    return input_columns(lines.values, [modified_ms] * len(lines.values), lines.cut)


def _records(extracted: pa.RecordBatch, values: Sequence[bytes], rows: Sequence[bytes], part: FilePart) -> list[bytes]:
    """A line of JSON for each line of the input that is not blank; ``rows`` is how each was read."""
    path = None if part.name == STDIN else str(part.path)
    extra: dict[str, list[str | None]] = {"log.file.path": [path] * len(values)}
    if rows != values:
        extra["event.original"] = [
            None if row is value else value.decode("utf-8", "replace") for row, value in zip(rows, values, strict=True)
        ]
    rendered = documents(extracted, extra)
    return [
        (_unread(extracted, row, values[row], path) if document is None else document) + b"\n"
        for row, document in enumerate(rendered)
        if document is not None or not _is_blank(values[row])
    ]


def _is_blank(value: bytes) -> bool:
    text = value.decode("utf-8", "replace")
    return not text or text.isspace()


def _unread(extracted: pa.RecordBatch, row: int, value: bytes, path: str | None) -> bytes:
    """The record of a line that could not be read: the line itself, and why."""
    record: dict[str, Any] = {
        "event": {"original": value.decode("utf-8", "replace")},
        "logsluice": {"reason": extracted["reason"][row].as_py()},
    }
    if (original := extracted["logsluice.original_bytes"][row].as_py()) is not None:
        record["logsluice"]["original_bytes"] = original
    if tags := extracted["tags"][row].as_py():
        record["tags"] = tags
    if path is not None:
        record["log"] = {"file": {"path": path}}
    return orjson.dumps(record)
