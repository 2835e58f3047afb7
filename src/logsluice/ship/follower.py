"""Following of files that grow, are rotated, truncated, or not there yet, as ``tail -F`` does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Event
from typing import Final

import structlog

from logsluice.inputs.files import STDIN, FileError, expand, path_exists
from logsluice.runtime.retry import StoppedError
from logsluice.ship.shipper import IDLE_SECONDS, Shipper
from logsluice.ship.source import CloseReason, Source

_POLL_SECONDS: Final = 0.25
_RESCAN_SECONDS: Final = 2.0

log = structlog.get_logger(__name__)


class Follower:
    """Keeps reading files that grow, are rotated, truncated, or not there yet."""

    def __init__(self, shipper: Shipper, names: Sequence[str], stop: Event) -> None:
        self._shipper = shipper
        self._names = names
        self._stop = stop
        self._open: dict[str, Source] = {}
        self._rotated: list[Source] = []
        self._done: set[str] = set()
        self._missing: set[str] = set()

    def run(self) -> None:
        """Follow until a stop is asked for, or until nothing is left that could grow."""
        rescan_at = 0.0
        try:
            while not self._stop.is_set():
                if time.monotonic() >= rescan_at:
                    self._open_new_files()
                    rescan_at = time.monotonic() + _RESCAN_SECONDS
                progressed = False
                for name, source in list(self._open.items()):
                    read = self._read(source)
                    progressed |= bool(read)
                    if read is False:
                        changed = self._handle_end(name, source)
                        rescan_at = 0.0 if changed else rescan_at
                for source in list(self._rotated):
                    # Its writer may not have noticed yet that it was rotated.
                    read = self._read(source)
                    progressed |= bool(read)
                    if read is False and time.monotonic() - source.read_at > IDLE_SECONDS:
                        self._rotated.remove(source)
                        self._shipper.finish(source, CloseReason.AT_END)
                if not progressed:
                    if self._done and not (self._open or self._rotated or self._missing):
                        return
                    self._stop.wait(_POLL_SECONDS)
        except StoppedError:
            pass
        finally:
            for source in [*self._rotated, *self._open.values()]:
                self._shipper.finish(source, CloseReason.STOPPED)
            self._shipper.report_progress()

    def _open_new_files(self) -> None:
        """Open the files that are there by now."""
        for name in expand(self._names):
            if name in self._open or name in self._done:
                continue
            if name != STDIN and not path_exists(name):
                if name not in self._missing:
                    self._missing.add(name)
                    log.info("waiting for the file", file=name)
                continue
            self._missing.discard(name)
            source = self._shipper.open(name)
            if source:
                self._open[name] = source
            else:
                self._done.add(name)

    def _read(self, source: Source) -> bool | None:
        try:
            return self._shipper.ship_block(source)
        except FileError as error:
            self._shipper.record_failure(error)
            if source in self._rotated:
                self._rotated.remove(source)
            else:
                self._done.add(source.name)
                del self._open[source.name]
            self._shipper.finish(source, CloseReason.BROKEN)
            return None

    def _handle_end(self, name: str, source: Source) -> bool:
        """What to do with a file that has nothing more for now; whether its name is free again."""
        if source.claimed is None or source.compressed:
            self._done.add(name)
            self._shipper.finish(self._open.pop(name), CloseReason.AT_END)
        elif source.was_rotated():
            log.info("the file was rotated", file=name)
            source.read_at = time.monotonic()
            self._rotated.append(self._open.pop(name))
            return True
        elif source.was_truncated():
            log.info("the file was truncated or written anew: reading it from its beginning", file=name)
            self._shipper.finish(self._open.pop(name), CloseReason.REPLACED)
            return True
        else:
            self._shipper.idle(source)
        return False
