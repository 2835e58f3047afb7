"""The plan of a report: its sources, and the tasks into which they are cut for Spark's workers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final

from logsluice.errors import LogsluiceError
from logsluice.inputs.files import STDIN, expand, spooled_copy
from logsluice.jobs.spark.files import PART_BYTES, plan_parts
from logsluice.reports.csv_logs import detect_layout, plan_csv
from logsluice.reports.events import Span
from logsluice.reports.tasks import CsvTask, LinesTask, Task
from logsluice.settings import Settings

ELASTICSEARCH: Final = "elasticsearch"
_INDEX: Final = "es:"
_LEAST_PART_BYTES: Final = 1 << 20
_PARTS_A_CORE: Final = 3


@dataclass(slots=True)
class Plan:
    """What there is to read.

    Attributes:
        sources: Names of what can be read, as the user gave them.
        size: Bytes of the files.
        problems: A line for each source that cannot be read.
    """

    tasks: list[Task] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    size: int = 0
    problems: list[str] = field(default_factory=list)


def plan(names: Sequence[str], settings: Settings, span: Span, scratch: Path, *, joined: bool) -> Plan:
    """Plan the reading of sources, the format of each detected by itself.

    Args:
        names: Files, globs, ``-``, ``elasticsearch`` (the results index) or ``es:INDEX``.
        scratch: A folder for a copy of what can be read once only.
        joined: The lines of one event belong together, in files that are no CSV logs.
    """
    plan = Plan()
    files: list[tuple[str, Path]] = []
    sources: set[Path | str] = set()
    expanded = chain.from_iterable([name] if _index(name, settings) else expand([name]) for name in names)
    for name in expanded:
        index = _index(name, settings)
        path = None if index else _path(name, scratch)
        if (key := index or (path.resolve() if path else name)) in sources:
            continue
        sources.add(key)
        if path is not None:
            files.append((name, path))
            continue
        from logsluice.reports.stored_events import plan_stored

        try:
            plan.tasks += plan_stored(settings, str(index), span)
            plan.sources.append(name)
        except LogsluiceError as error:
            plan.problems.append(str(error))
    total = sum(path.stat().st_size for _, path in files if path.is_file())
    part_bytes = min(max(total // ((os.cpu_count() or 1) * _PARTS_A_CORE), _LEAST_PART_BYTES), PART_BYTES)
    for name, path in files:
        try:
            plan.tasks += _plan_file(name, path, joined, part_bytes)
            plan.sources.append(name)
            plan.size += path.stat().st_size
        except LogsluiceError as error:
            plan.problems.append(str(error))
    return plan


def _plan_file(name: str, path: Path, joined: bool, part_bytes: int) -> list[Task]:
    layout = detect_layout(path, name)
    if layout is None:
        return [LinesTask(part, joined) for part in plan_parts(path, name, whole=joined, part_bytes=part_bytes)]
    layout, parts = plan_csv(path, name, layout, part_bytes=part_bytes)
    return [CsvTask(part, layout) for part in parts]


def _index(name: str, settings: Settings) -> str | None:
    """The index that a source is, or None where it is none."""
    is_stored = name == ELASTICSEARCH or name.startswith(_INDEX)
    return (name.partition(":")[2] or settings.results_index) if is_stored else None


def _path(name: str, scratch: Path) -> Path:
    path = Path(name).absolute()
    return spooled_copy(name, scratch) if name == STDIN or path.is_fifo() or path.is_char_device() else path
