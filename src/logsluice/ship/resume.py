"""Resuming a file of which some events are in the topic already; pure, with no Kafka in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from logsluice.inputs.files import Line
from logsluice.inputs.multiline import JoinedEvent
from logsluice.inputs.streams import StreamJoiner
from logsluice.ship.state import FileState


class UnstoredEvents:
    """Gives the events of a file but for those that are there.

    What is there is known by its bytes, not by what an event is now: an event that was sent before it had all
    its lines stays as it is, and the lines that came later are events of their own.

    Args:
        covered: Ends of the events that are there, by their offsets.
    """

    def __init__(self, joiner: StreamJoiner, covered: Mapping[int, int]) -> None:
        self.joiner = joiner
        self._covered = dict(covered)
        self.until = 0
        """Where the last event passed so far that is there ends."""
        self.already = 0
        """How many were passed so far."""

    @property
    def has_stored_ahead(self) -> bool:
        """Whether events that are there are still to be passed."""
        return bool(self._covered)

    def feed(self, lines: Iterable[Line]) -> Iterator[JoinedEvent]:
        """The events that these lines show to be complete."""
        for line in lines:
            if line.offset < self.until:
                continue
            if self._covered and (end := self._covered.pop(line.offset, None)) is not None:
                yield from self.joiner.flush()
                self.already += 1
                self.until = end
                if line.end <= end:
                    continue
                # The file ended within this line when the event was sent.
                line = Line(line.data[end - line.offset :], end, line.end)
            yield from self.joiner.feed(line)


class PositionTracker:
    """Keeps the state of a file true, so that whatever happens next, reading on from it misses no event.

    Two things hold at any time: every event before ``position`` is in the topic, and every record of an event
    behind it is at or behind ``ends``.

    Args:
        covered: Ends of the events that an interrupted run had stored, by their offsets.
    """

    def __init__(self, state: FileState, covered: Mapping[int, int]) -> None:
        self.state = state
        self._last_covered = max(covered.values(), default=0)

    def acknowledged(self, event: JoinedEvent, partition: int, offset: int) -> None:
        """An event was acknowledged; to be told in the order of sending."""
        self.state.position = event.end
        # Events of the interrupted run may be behind this one in the file and before it in the topic.
        if event.offset >= self._last_covered:
            self.state.ends[partition] = offset + 1

    def settled(self, sent_to: int, unstored: UnstoredEvents) -> None:
        """Nothing is on its way, and everything before ``sent_to`` was sent."""
        self.state.position = max(sent_to, unstored.until)
        self.state.sending = unstored.has_stored_ahead
