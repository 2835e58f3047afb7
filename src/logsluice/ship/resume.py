"""Resuming a file of which some events are in the topic already; pure, with no Kafka in it.

Events of streams that alternate in a file overlap: one begins before the other has ended. They are sent in the order in
which they begin, and a position is kept only where no event lies on both sides of it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from logsluice.inputs.files import Line
from logsluice.inputs.multiline import JoinedEvent
from logsluice.inputs.streams import StreamJoiner
from logsluice.inputs.tables import TableRows
from logsluice.ship.state import FileState


class Extent(NamedTuple):
    """Which bytes of a file an event has, besides where it begins.

    Attributes:
        end: Where it ends.
        gaps: Begins and ends of what lies between and is other events'.
    """

    end: int
    gaps: tuple[tuple[int, int], ...] = ()

    def pieces(self, offset: int) -> Iterator[tuple[int, int]]:
        """Begins and ends of the event's bytes."""
        for begin, end in self.gaps:
            yield offset, begin
            offset = end
        yield offset, self.end


class UnstoredEvents:
    """Gives the events of a file but for those that are there.

    What is there is known by its bytes, not by what an event is now: an event that was sent before it had all
    its lines stays as it is, and the lines that came later are events of their own.

    Args:
        covered: The events that are there, by their offsets.
        rows: What is known of the file's columns where reading begins.
    """

    def __init__(self, joiner: StreamJoiner, covered: Mapping[int, Extent], rows: TableRows | None = None) -> None:
        self.joiner = joiner
        self._rows = rows or TableRows()
        self._begins = set(covered)
        self._pieces = sorted(piece for offset, extent in covered.items() for piece in extent.pieces(offset))
        self._pieces.reverse()
        self.already = 0
        """How many were passed so far."""

    def feed(self, lines: Iterable[Line]) -> Iterator[JoinedEvent]:
        """The events that these lines show to be complete."""
        for line in lines:
            row = self._rows.read(line)
            end = self._stored_to(line.offset)
            if end is None:
                yield from self.joiner.feed(row)
                continue
            begins = line.offset in self._begins
            if begins:
                self._begins.remove(line.offset)
                self.already += 1
            yield from self.joiner.pass_over(line, begins=begins)
            if line.end > end:
                # The file ended within this line when the event was sent.
                yield from self.joiner.feed(Line(line.data[end - line.offset :], end, line.end))

    def _stored_to(self, offset: int) -> int | None:
        """Where the piece of a stored event ends that an offset is in."""
        while self._pieces and self._pieces[-1][1] <= offset:
            self._pieces.pop()
        return self._pieces[-1][1] if self._pieces and self._pieces[-1][0] <= offset else None


@dataclass(slots=True)
class _Group:
    """Acknowledged events behind the position, and where the last of those ends that overlap them.

    Attributes:
        ends: By partition, the offset after the last of their records.
    """

    reach: int
    ends: dict[int, int] = field(default_factory=dict)


class PositionTracker:
    """Keeps the state of a file true, so that whatever happens next, reading on from it misses no event.

    Three things hold at any time: every event before ``position`` is in the topic, no event lies on both sides of it,
    and every record of an event behind it is at or behind ``ends``.

    Args:
        covered: The events that an interrupted run had stored, by their offsets.
    """

    def __init__(self, state: FileState, covered: Mapping[int, Extent]) -> None:
        self.state = state
        self._last_covered = max((extent.end for extent in covered.values()), default=0)
        self._last_begin = max(covered, default=-1)
        self._overlaps = _merged(covered)
        self._group = _Group(self._undivided(state.position))

    def acknowledged(self, event: JoinedEvent, partition: int, offset: int) -> None:
        """An event was acknowledged; to be told in the order of sending."""
        if event.offset >= self._group.reach:
            self._close(self._group.reach)
        group = self._group
        group.reach = self._undivided(max(group.reach, event.end))
        # Events of the interrupted run may be behind this one in the file and before it in the topic.
        if event.offset >= self._last_covered:
            group.ends[partition] = offset + 1

    def settled(self, unsent: int) -> None:
        """Nothing is on its way, and every line before ``unsent``, where one begins, is in the topic."""
        if unsent < self._group.reach or self._undivided(unsent) != unsent:
            # An event that is there goes on behind lines that are not: the next run looks it up.
            return
        self._close(unsent)
        self.state.sending = self._last_begin >= unsent

    def _close(self, position: int) -> None:
        self.state.position = position
        self.state.ends |= self._group.ends
        self._group = _Group(position)

    def _undivided(self, position: int) -> int:
        """The first place from a position on that no stored event lies on both sides of."""
        place = bisect_right(self._overlaps, (position, -1)) - 1
        return max(position, self._overlaps[place][1]) if place >= 0 else position


def _merged(covered: Mapping[int, Extent]) -> list[tuple[int, int]]:
    """Where stored events lie, those that overlap as one."""
    merged: list[tuple[int, int]] = []
    for offset, extent in sorted(covered.items()):
        if merged and offset < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], extent.end))
        else:
            merged.append((offset, extent.end))
    return merged
