"""An input that is being shipped: an open file or standard input, with its position and its headers."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Mapping
from enum import Enum, auto
from pathlib import Path
from typing import BinaryIO, Final

from logsluice.inputs.files import LineSplitter
from logsluice.inputs.multiline import JoinedEvent
from logsluice.inputs.streams import StreamJoiner
from logsluice.inputs.tables import TableRows
from logsluice.ship.lookup import OFFSET_HEADER, SHIP_HEADER, write_mark
from logsluice.ship.resume import Extent, PositionTracker, UnstoredEvents
from logsluice.ship.state import ClaimedState

PATH_HEADER: Final = "log.file.path"


class Source:
    """A file, or standard input, while it is shipped.

    Attributes:
        sending: Where the event begins that is about to be handed to Kafka's client; a stop leaves it there.
    """

    def __init__(
        self,
        name: str,
        raw: io.BufferedReader | io.RawIOBase,
        stream: BinaryIO,
        claimed: ClaimedState | None,
        *,
        join: bool,
        compressed: bool,
        covered: Mapping[int, Extent] | None = None,
    ) -> None:
        self.name = name
        self.raw = raw
        self.stream = stream
        self.claimed = claimed
        self.compressed = compressed
        self.splitter = LineSplitter(claimed.state.position if claimed else 0)
        self.joiner = StreamJoiner(enabled=join)
        rows = TableRows.at(Path(name), claimed.state.position) if claimed else None
        self.unstored = UnstoredEvents(self.joiner, covered or {}, rows)
        self.tracker = PositionTracker(claimed.state, covered or {}) if claimed else None
        self.in_flight = 0
        self.sending: int | None = None
        self.saved_at = time.monotonic()
        self.read_at = time.monotonic()
        self._looked_at = time.monotonic()
        self._fed_then = 0
        self._path_header = (PATH_HEADER, os.fsencode(Path(name).absolute()))

    @property
    def path(self) -> Path | None:
        """The file; ``None`` for standard input."""
        return Path(self.name) if self.claimed else None

    @property
    def on_disk(self) -> int:
        """How many bytes of the file on disk have been read."""
        return self.raw.tell() if self.claimed else self.splitter.offset

    @property
    def unsent(self) -> int:
        """Where the first line begins that was not handed to Kafka's client and is not in the topic either."""
        if self.sending is not None:
            return self.sending
        begin = self.joiner.begin
        return self.splitter.offset if begin is None else begin

    def quiet_events(self, seconds: float) -> list[JoinedEvent]:
        """End the events of streams that have had no line for some time while others had."""
        now = time.monotonic()
        if now - self._looked_at < seconds:
            return []
        events = self.joiner.end_quiet(self._fed_then)
        self._looked_at, self._fed_then = now, self.joiner.fed
        return events

    def headers(self, event: JoinedEvent) -> list[tuple[str, bytes]]:
        """The record headers of an event."""
        headers: list[tuple[str, bytes]] = [(OFFSET_HEADER, b"%d" % event.offset), *event.headers]
        if self.claimed:
            headers.append(self._path_header)
            headers.append((SHIP_HEADER, write_mark(self.claimed.state.ship_id, event)))
        return headers

    def was_rotated(self) -> bool:
        """Whether the name has gone to another file, or to none."""
        if self.claimed is None:
            return False
        opened = os.fstat(self.raw.fileno())
        try:
            named = Path(self.name).stat()
        except OSError:
            return True
        return (opened.st_dev, opened.st_ino) != (named.st_dev, named.st_ino)

    def was_truncated(self) -> bool:
        """Whether the file has become shorter or begins with something else."""
        return self.claimed is not None and (
            os.fstat(self.raw.fileno()).st_size < self.on_disk or not self.claimed.same_file()
        )

    def close(self) -> None:
        """Let other processes have the file."""
        if self.claimed:
            self.claimed.release()
            self.stream.close()
            self.raw.close()


class CloseReason(Enum):
    """Why a file is left."""

    AT_END = auto()
    """All of it was read."""
    REPLACED = auto()
    """What was not read of it is gone."""
    STOPPED = auto()
    """A stop was asked for: the event at hand may go on, and is read again next time."""
    BROKEN = auto()
    """It cannot be read any further."""
