"""Events of files in which several programs' output is mixed, or each line is wrapped by who runs the program."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from typing import Final, NamedTuple

from logsluice.event.limits import MAX_VALUE_BYTES
from logsluice.inputs.container_lines import ContainerLine, unwrap
from logsluice.inputs.files import Line
from logsluice.inputs.multiline import MAX_LINES, JoinedEvent, LineJoiner, begins_event

_MOST_STREAMS: Final = 200
_IDLE_LINES: Final = 1_000
"""A stream that had no line among so many has ended its event."""


_MOST_GAPS: Final = 1_000
"""An event in so many pieces ends: where each of them lies goes with it to Kafka."""


class _Begun(NamedTuple):
    """A line that an event may begin with."""

    offset: int
    line: ContainerLine
    parts: int


class _Stream:
    """One stream's joiner, and what its lines are wrapped in."""

    def __init__(self, joiner: LineJoiner) -> None:
        self.joiner = joiner
        self.last_fed = 0
        self.left_at: int | None = None
        """Where other streams' lines have begun behind its last one."""
        self._gaps: deque[tuple[int, int]] = deque()
        self._begun: deque[_Begun] = deque()
        self._parts: list[Line] = []
        self._first: ContainerLine | None = None

    @property
    def begin(self) -> int | None:
        """Where what is at hand begins."""
        begin = self.joiner.begin
        return self._parts[0].offset if begin is None and self._parts else begin

    def feed(self, line: Line, wrapped: ContainerLine | None) -> list[JoinedEvent]:
        """Take a line; gives the events that it shows to be complete."""
        events = self.flush() if len(self._gaps) >= _MOST_GAPS else []
        if self.left_at is not None:
            if self.begin is not None and self.left_at < line.offset:
                self._gaps.append((self.left_at, line.offset))
            self.left_at = None
        events += self._feed(line, wrapped)
        return [self._with_gaps(event) for event in events] if self._gaps else events

    def flush(self) -> list[JoinedEvent]:
        """End the event at hand."""
        events = self._feed_whole(whole=False) if self._parts else []
        events += [self._wrapped(event) for event in self.joiner.flush()]
        return [self._with_gaps(event) for event in events] if self._gaps else events

    def _feed(self, line: Line, wrapped: ContainerLine | None) -> list[JoinedEvent]:
        if wrapped is None:
            return self.joiner.feed(line)
        if self._first is None:
            self._first = wrapped
        self._parts.append(line._replace(data=wrapped.content))
        size = sum(len(part.data) for part in self._parts)
        if wrapped.partial and size < MAX_VALUE_BYTES and not line.headers:
            return []
        return self._feed_whole(whole=not wrapped.partial)

    def _feed_whole(self, *, whole: bool) -> list[JoinedEvent]:
        first, parts = self._first, self._parts
        self._first, self._parts = None, []
        if first is None:
            return []
        self._begun.append(_Begun(parts[0].offset, first._replace(partial=not whole), len(parts)))
        line = Line(b"".join(part.data for part in parts), parts[0].offset, parts[-1].end, parts[-1].headers)
        return [self._wrapped(event) for event in self.joiner.feed(line)]

    def _with_gaps(self, event: JoinedEvent) -> JoinedEvent:
        """An event with the gaps that lie within it; those before its end are done with."""
        within: list[tuple[int, int]] = []
        while self._gaps and self._gaps[0][0] < event.end:
            gap = self._gaps.popleft()
            if event.offset < gap[0]:
                within.append(gap)
        return event._replace(gaps=tuple(within)) if within else event

    def _wrapped(self, event: JoinedEvent) -> JoinedEvent:
        """An event with what its first line was wrapped in."""
        first: _Begun | None = None
        parts = 0
        while self._begun and self._begun[0].offset < event.end:
            begun = self._begun.popleft()
            if begun.offset < event.offset:
                continue
            first = first or begun
            parts += begun.parts - 1
        if first is None:
            return event
        value = first.line.wrap(event.value, not first.line.partial)
        return event._replace(value=value, lines=event.lines + parts)


class StreamJoiner:
    """Takes the lines of a file one by one and gives events, in the order in which they begin.

    An event may go on behind lines of other streams.

    Args:
        enabled: Whether lines are joined at all; where not, every line that is not blank is an event.
        max_lines: The most lines of an event.
        max_bytes: The most bytes of an event; a single longer line stays as it is.
    """

    def __init__(
        self,
        *,
        enabled: bool = True,
        max_lines: int = MAX_LINES,
        max_bytes: int = MAX_VALUE_BYTES,
    ) -> None:
        self._enabled = enabled
        self._options = {"max_lines": max_lines, "max_bytes": max_bytes}
        self._streams: dict[bytes, _Stream] = {}
        self._last: bytes = b""
        self._fed = 0
        self._complete: list[tuple[int, JoinedEvent]] = []
        self._blank = 0

    @property
    def blank(self) -> int:
        """Blank lines outside events so far."""
        return self._blank + sum(stream.joiner.blank for stream in self._streams.values())

    @property
    def begin(self) -> int | None:
        """Where the first of the events begins that are held back; None where there is none."""
        begins = [begin for stream in self._streams.values() if (begin := stream.begin) is not None]
        begins += [offset for offset, _ in self._complete[:1]]
        return min(begins, default=None)

    @property
    def fed(self) -> int:
        """How many lines were taken so far."""
        return self._fed

    def feed(self, line: Line) -> list[JoinedEvent]:
        """Take the next line; gives the events that it shows to be complete."""
        wrapped = unwrap(line.data, self._goes_on) if self._enabled else None
        key = wrapped.stream if wrapped else b""
        events: list[JoinedEvent] = []
        if key != self._last or key not in self._streams:
            if len(self._streams) >= _MOST_STREAMS and key not in self._streams:
                events = self._end(min(self._streams, key=lambda name: self._streams[name].last_fed))
            self._turn_to(key, line.offset)
        stream = self._streams[key]
        self._fed += 1
        stream.last_fed = self._fed
        events += stream.feed(line, wrapped)
        if wrapped and key.endswith(b"time") and stream.begin == line.offset and not begins_event(wrapped.content):
            self._forget_time(key, line)
        if len(self._streams) == 1 and not self._complete:
            return events
        if self._fed % _IDLE_LINES == 0:
            events += self._end_quiet(self._fed - _IDLE_LINES)
        return self._in_order(events)

    def pass_over(self, line: Line, *, begins: bool) -> list[JoinedEvent]:
        """Take a line of an event that is known already, its first or a further one: it ends its stream's event."""
        wrapped = unwrap(line.data, self._goes_on) if self._enabled else None
        key = wrapped.stream if wrapped else b""
        self._turn_to(key, line.offset)
        events = self._end(key)
        self._turn_to(key, line.offset)
        if wrapped and key.endswith(b"time") and begins and not begins_event(wrapped.content):
            self._forget_time(key, line)
        return self._in_order(events)

    def end_quiet(self, fed: int) -> list[JoinedEvent]:
        """End the events of streams that have had no line since so many were taken."""
        return self._in_order(self._end_quiet(fed))

    def flush(self) -> list[JoinedEvent]:
        """End all events at hand; gives them, and what waited behind them."""
        events = [event for name in list(self._streams) for event in self._end(name)]
        self._last = b""
        return self._in_order(events)

    def _turn_to(self, key: bytes, offset: int) -> None:
        """Note that the lines from an offset on are a stream's."""
        last = self._streams.get(self._last)
        if key != self._last and last is not None and last.left_at is None:
            last.left_at = offset
        self._last = key
        if key not in self._streams:
            self._streams[key] = _Stream(LineJoiner(enabled=self._enabled, **self._options))

    def _forget_time(self, key: bytes, line: Line) -> None:
        """Whoever starts to read here cannot know that the time was put in front."""
        self._streams[key].left_at = line.end
        self._last = b""

    def _end_quiet(self, fed: int) -> list[JoinedEvent]:
        names = [name for name, stream in self._streams.items() if stream.last_fed < fed]
        return [event for name in names for event in self._end(name)]

    def _goes_on(self, content: bytes) -> bool:
        """Whether what stands behind a time shows that the time was put in front of it."""
        return self._last.endswith(b"time") or begins_event(content)

    def _end(self, name: bytes) -> list[JoinedEvent]:
        stream = self._streams.pop(name)
        events = stream.flush()
        self._blank += stream.joiner.blank
        return events

    def _in_order(self, events: list[JoinedEvent]) -> list[JoinedEvent]:
        """Keep events back until all that begin before them are complete."""
        for event in events:
            heappush(self._complete, (event.offset, event))
        begins = [begin for stream in self._streams.values() if (begin := stream.begin) is not None]
        earliest = min(begins, default=None)
        ready = []
        while self._complete and (earliest is None or self._complete[0][0] < earliest):
            ready.append(heappop(self._complete)[1])
        return ready


def join(lines: Iterable[Line], joiner: StreamJoiner | None = None) -> Iterator[JoinedEvent]:
    """Join the lines of a whole file."""
    joiner = joiner or StreamJoiner()
    for line in lines:
        yield from joiner.feed(line)
    yield from joiner.flush()
