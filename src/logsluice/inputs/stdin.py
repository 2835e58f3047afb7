"""Standard input with non-blocking reads."""

from __future__ import annotations

import io
import os
import select
import sys
from threading import Event
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from logsluice.inputs.files import begins_compressed, uncompressed
from logsluice.runtime.retry import StoppedError

if TYPE_CHECKING:
    from typing_extensions import Buffer

_POLL_SECONDS: Final = 0.25
_BLOCK_BYTES: Final = 256 * 1024
_MAGIC_BYTES: Final = 4


class Stdin(io.RawIOBase):
    """Standard input; reads give ``None`` when nothing comes for a moment, so that other things can be done.

    Args:
        stop: Ends a wait for input when set.
    """

    def __init__(self, stop: Event) -> None:
        self._descriptor = sys.stdin.fileno()
        self._stop = stop
        self._first = b""
        self._patient = False

    def open(self) -> tuple[BinaryIO, bool]:
        """Wait for the first bytes; gives the content and whether it was compressed.

        Compressed input is waited for in every read.

        Raises:
            StoppedError: ``stop`` was set before anything came.
        """
        while len(self._first) < _MAGIC_BYTES and (block := self._wait(_BLOCK_BYTES)):
            self._first += block
        if not begins_compressed(self._first):
            return cast("BinaryIO", self), False
        self._patient = True
        return uncompressed(io.BufferedReader(self, _BLOCK_BYTES)), True

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Buffer) -> int | None:
        """Read what is there.

        Raises:
            StoppedError: ``stop`` was set while compressed input was waited for.
        """
        target = memoryview(buffer).cast("B")
        if self._first:
            block, self._first = self._first[: len(target)], self._first[len(target) :]
        elif self._patient:
            block = self._wait(len(target))
        elif self._ready():
            block = os.read(self._descriptor, len(target))
        else:
            return None
        target[: len(block)] = block
        return len(block)

    def _wait(self, size: int) -> bytes:
        while not self._ready():
            if self._stop.is_set():
                raise StoppedError
        return os.read(self._descriptor, size)

    def _ready(self) -> bool:
        return bool(select.select([self._descriptor], [], [], _POLL_SECONDS)[0])
