"""Background processes that outlive the command, identified by a file with process id and start time.

The time keeps a recycled process id from ever being mistaken for ours.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from logsluice.runtime.private_files import write_private

_SAME_START_SECONDS = 2.0
"""How far the start time of a process may move: it is reckoned from a clock that gets corrected."""


@dataclass(frozen=True)
class Record:
    """What is known of a process that was started.

    Attributes:
        pid: Its id, which is also that of its process group.
        created: When it began, in seconds since 1970, as psutil tells it.
        secure: Whether its clients have to show credentials.
    """

    pid: int
    created: float
    port: int
    secure: bool = False

    def process(self) -> psutil.Process | None:
        """The process, if it still runs."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < _SAME_START_SECONDS
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def read_record(path: Path) -> Record | None:
    """The record in a file; None where there is none, or half of one."""
    try:
        return Record(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def spawn(
    command: list[str], *, record: Path, output: Path, port: int, secure: bool = False
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, what it prints appended to a file, and write its record."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("ab") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)
    created = psutil.Process(process.pid).create_time()
    write_private(record, json.dumps(asdict(Record(process.pid, created, port, secure))))
    return process


def terminate(process: psutil.Process, *, patience: float) -> None:
    """End a process and all that it started: politely, by force what is left after ``patience`` seconds."""
    family = [process, *_children(process)]
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
    psutil.wait_procs([process], timeout=patience)
    _kill(family)


def kill(process: psutil.Process) -> None:
    """End a process and all that it started at once, as a power cut would."""
    _kill([process, *_children(process)])


def _kill(family: list[psutil.Process]) -> None:
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.send_signal(signal.SIGKILL)
    psutil.wait_procs(family, timeout=10)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def memory(process: psutil.Process) -> int:
    """Resident bytes of a process and all that it started."""
    total = 0
    for member in [process, *_children(process)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += member.memory_info().rss
    return total


def own_processes() -> Iterator[tuple[psutil.Process, list[str]]]:
    """Every process of this user with its command line."""
    for process in psutil.process_iter(["uids", "cmdline"]):
        uids, line = process.info["uids"], process.info["cmdline"]
        if uids and uids.real == os.getuid() and line:
            yield process, line
