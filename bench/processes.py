"""What a process and all that it started cost: processor time and memory."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

import psutil

_SAMPLE_SECONDS = 0.25


def tree(pid: int) -> list[psutil.Process]:
    """A process and its descendants, as far as they still live."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(pids: Iterable[int]) -> float:
    """Processor time used so far by processes and all their descendants, those that ended included.

    A process that ends adds its time to its parent's ``children_*`` when the parent collects it, as Spark's
    Python daemon and every JVM do; so the sum over the living counts everything once.
    """
    total = 0.0
    for pid in pids:
        for process in tree(pid):
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system + times.children_user + times.children_system
    return total


def cpu_seconds_by_role(roots: Mapping[str, int]) -> dict[str, float]:
    """Processor time used so far below each root, what Python workers took apart from what started them.

    Args:
        roots: Process ids by name.

    Returns:
        Seconds by name of the root, and as ``<name>'s workers``.
    """
    seconds = dict.fromkeys(roots, 0.0)
    for name, pid in roots.items():
        for process in tree(pid):
            try:
                times = process.cpu_times()
                part = f"{name}'s workers" if _role(process, pid) == "worker" else name
            except psutil.Error:
                continue
            seconds[part] = seconds.get(part, 0.0) + times.user + times.system
    return seconds


class PeakMemory:
    """The largest resident size, in bytes, of every process below some roots while a ``with`` block runs.

    Attributes:
        peaks: By name of the root and role of the process (``java``, ``python``, ``worker``); of several
            processes of one role the largest.
    """

    def __init__(self, roots: Mapping[str, int]) -> None:
        self._roots = dict(roots)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peaks: dict[tuple[str, str], int] = {}

    def add(self, name: str, pid: int) -> None:
        """Watch another root from now on."""
        self._roots = {**self._roots, name: pid}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(_SAMPLE_SECONDS):
            for name, pid in self._roots.items():
                for process in tree(pid):
                    self._note(name, pid, process)

    def _note(self, name: str, root: int, process: psutil.Process) -> None:
        try:
            role = _role(process, root)
            size = process.memory_info().rss
        except psutil.Error:
            return
        if role:
            self.peaks[name, role] = max(self.peaks.get((name, role), 0), size)


def _role(process: psutil.Process, root: int) -> str | None:
    """None for what a virtual machine is about to become another program: its memory is still its parent's."""
    program = process.name()
    if program == "java":
        return "java"
    if process.pid == root:
        return "python"
    return "worker" if program.startswith("python") else None
