"""Notifications as lines: in the job's own log, and in a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import structlog

from logsluice.alerts.documents import Notification, headline
from logsluice.event.moments import iso

_TAIL_BYTES: Final = 4_000_000

log = structlog.get_logger(__name__)


class ConsoleOutput:
    """A line of the job's log for each alert that opens or resolves."""

    name = "console"

    def notify(self, notification: Notification) -> None:
        """Log it; an alert that opens as a warning or an error, by its severity."""
        write = log.info
        if notification.transition == "opened":
            write = log.error if notification.alert.severity == "critical" else log.warning
        write(
            f"alert {notification.transition}: {headline(notification)}",
            alert=notification.alert.id,
            rule=notification.alert.key.rule,
            service=notification.alert.key.service,
            url=notification.alert.url,
        )

    def close(self) -> None:
        """Nothing to let go of."""


class FileOutput:
    """Appends to a file, whose folder it makes; what stands in its last four megabytes already is not written again.

    A line is ``<moment> <OPENED|RESOLVED> <what happened> <url>``, a tab, and the id of alert and transition. Writing
    is one call and on disk when it comes back; a line that a crash cut off is ended before the next one.
    """

    name = "file"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: set[str] | None = None

    def notify(self, notification: Notification) -> None:
        """Write a line, unless it is there.

        Raises:
            OSError: The file cannot be written.
        """
        mark = _printable(notification.id)
        if self._written is None:
            self._written = self._read()
        if mark in self._written:
            return
        alert, transition = notification.alert, notification.transition
        words = f"{iso(notification.at)} {transition.upper()} {headline(notification)} {alert.url}"
        line = f"{_printable(words)}\t{mark}\n"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            os.write(descriptor, b"\n" * torn + line.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._written.add(mark)

    def close(self) -> None:
        """Nothing to let go of."""

    def _read(self) -> set[str]:
        try:
            with self._path.open("rb") as file:
                file.seek(max(0, self._path.stat().st_size - _TAIL_BYTES))
                lines = file.read().decode(errors="replace").splitlines()
        except FileNotFoundError:
            return set()
        return {line.rpartition("\t")[2] for line in lines}


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
