"""Files into Kafka: their lines joined to events, each event once, whatever is killed on the way.

How "once" is reached: every record says which file it is from and which bytes of it it holds. Kept on disk
is a position of the file up to which everything is acknowledged, and, by partition, an offset of the topic
before which nothing past that position is. After a crash the topic is read from those offsets on; what is
found there is left out when the file is read from the position on.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from threading import Event
from typing import BinaryIO, Final, TypeVar

import structlog

from logsluice import metrics
from logsluice.kafka import Offsets, Topic, admin, is_away, latest_offsets, wait_for_topic
from logsluice.settings import Settings
from logsluice.sources.files import (
    STDIN,
    FileError,
    Line,
    LineSplitter,
    expand,
    is_compressed,
    is_there,
    reading,
    skip,
    uncompressed,
)
from logsluice.sources.multiline import Joined, Joiner
from logsluice.sources.pacing import Pacer
from logsluice.sources.resuming import Progress, Remaining
from logsluice.sources.sending import Outlet
from logsluice.sources.ship_lookup import JOB, OFFSET_HEADER, SHIP_HEADER, shipped_since
from logsluice.sources.ship_state import ClaimedState, FileState, ShipStates
from logsluice.sources.stdin import Stdin
from logsluice.waiting import Stopped, wait_out

PATH_HEADER: Final = "log.file.path"
_BLOCK_BYTES: Final = 256 * 1024
_SAVE_SECONDS: Final = 0.5
_POLL_SECONDS: Final = 0.25
_FLUSH_SECONDS: Final = 1.0
_IDLE_SECONDS: Final = 5.0
_RESCAN_SECONDS: Final = 2.0
_GIVE_UP_SECONDS: Final = 10.0

T = TypeVar("T")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ShipOptions:
    """How to ship.

    Attributes:
        follow: Go on when a file has been read to its end, as ``tail -F`` does.
        join: Join the lines of one event.
        rate: The most lines a second; ``None`` is as fast as the broker takes them.
        again: Ship files from their beginning, whatever was shipped before.
    """

    follow: bool = False
    join: bool = True
    rate: float | None = None
    again: bool = False


@dataclass(slots=True)
class ShipSummary:
    """What was done, as far as it is acknowledged.

    Attributes:
        files: Files read.
        unchanged: Files left alone because they were shipped before and have not grown.
        lines: Lines dealt with, blank ones included.
        events: Events that Kafka has stored.
        joined: Events of more than one line.
        cut: Events cut to what a record takes.
        blank: Blank lines between events, which are not shipped.
        already: Events that an interrupted run had stored before.
        done_bytes: Bytes of files on disk that are behind, those of earlier runs included.
        seconds: How long it took.
        unfinished: Files that were not read to their end because a stop was asked for.
        failures: One line for each file that could not be shipped whole.
    """

    files: int = 0
    unchanged: int = 0
    lines: int = 0
    events: int = 0
    joined: int = 0
    cut: int = 0
    blank: int = 0
    already: int = 0
    done_bytes: int = 0
    seconds: float = 0.0
    unfinished: int = 0
    failures: list[str] = field(default_factory=list)


Listener = Callable[[ShipSummary], None]


def ship(
    names: Sequence[str],
    settings: Settings,
    options: ShipOptions,
    stop: Event,
    listener: Listener = lambda _summary: None,
) -> ShipSummary:
    """Ship files into the topic of the settings.

    Args:
        names: Files, globs, or ``-`` for standard input.
        settings: Where Kafka is and where the state is kept.
        options: How to ship.
        stop: Ends it when set: what was read is sent first, and the state is kept.
        listener: Is told now and then how far it is.

    Returns:
        What was done. A file that cannot be read is in its failures; the others are shipped.

    Raises:
        LogsluiceError: Kafka refuses credentials or records, or the state cannot be kept.
        Stopped: ``stop`` was set before Kafka answered.
    """
    topic = wait_for_topic(settings, settings.kafka.topic, job=JOB, stop=stop)
    outlet: Outlet[_Sent] = Outlet(settings, topic.name, job=JOB, stop=stop)
    shipper = _Shipper(settings, options, topic, outlet, stop, listener)
    try:
        if options.follow:
            _Follower(shipper, names, stop).run()
        else:
            shipper.ship_all(names)
    finally:
        outlet.close()
    return shipper.summary


@dataclass(slots=True)
class _Sent:
    """What an acknowledgement is about."""

    source: _Source
    event: Joined


class _Source:
    """A file, or standard input, while it is shipped.

    Attributes:
        sent_to: Where the last event ends that was handed to Kafka's client; everything before it was, too, or
            is in the topic.
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
        covered: Mapping[int, int] | None = None,
    ) -> None:
        self.name = name
        self.raw = raw
        self.stream = stream
        self.claimed = claimed
        self.compressed = compressed
        self.sent_to = claimed.state.position if claimed else 0
        self.splitter = LineSplitter(self.sent_to)
        self.joiner = Joiner(enabled=join)
        self.remaining = Remaining(self.joiner, covered or {})
        self.progress = Progress(claimed.state, covered or {}) if claimed else None
        self.in_flight = 0
        self.saved_at = time.monotonic()
        self.read_at = time.monotonic()
        self._path_header = (PATH_HEADER, os.fsencode(Path(name).absolute()))

    @property
    def path(self) -> Path | None:
        """The file; ``None`` for standard input."""
        return Path(self.name) if self.claimed else None

    @property
    def on_disk(self) -> int:
        """How many bytes of the file on disk have been read."""
        return self.raw.tell() if self.claimed else self.splitter.offset

    def headers(self, event: Joined) -> list[tuple[str, bytes]]:
        """The record headers of an event."""
        headers: list[tuple[str, bytes]] = [(OFFSET_HEADER, b"%d" % event.offset), *event.headers]
        if self.claimed:
            headers.append(self._path_header)
            headers.append((SHIP_HEADER, f"{self.claimed.state.ship_id}:{event.end}".encode()))
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


class _Shipper:
    """What shipping files one after the other and following many have in common."""

    def __init__(
        self,
        settings: Settings,
        options: ShipOptions,
        topic: Topic,
        outlet: Outlet[_Sent],
        stop: Event,
        listener: Listener,
    ) -> None:
        self._settings = settings
        self._options = options
        self._topic = topic
        self._outlet = outlet
        self._stop = stop
        self._listener = listener
        self._states = ShipStates(settings.home, topic.id)
        self._pacer = Pacer(options.rate) if options.rate else None
        self._read = metrics.EVENTS_IN.labels(JOB)
        self._stored = metrics.EVENTS_OUT.labels(JOB, "kafka")
        self._began = time.monotonic()
        self.summary = ShipSummary()

    def ship_all(self, names: Sequence[str]) -> None:
        """Ship files one after the other."""
        todo = expand(names)
        for number, name in enumerate(todo):
            try:
                source = self.open(name)
                if source:
                    self._ship_one(source)
            except Stopped:
                self.summary.unfinished = len(todo) - number
                return
            finally:
                self.tell()

    def _ship_one(self, source: _Source) -> None:
        try:
            while self.step(source) is not False:
                if self._stop.is_set():
                    raise Stopped
        except Stopped:
            self.leave(source, _Leaving.STOPPED)
            raise
        except FileError as error:
            self.note(error)
            self.leave(source, _Leaving.BROKEN)
        else:
            if not self.leave(source, _Leaving.AT_END):
                raise Stopped

    def note(self, error: FileError) -> None:
        """Something is wrong with one file: the others go on."""
        log.error(str(error))
        self.summary.failures.append(str(error))

    def open(self, name: str) -> _Source | None:
        """Open a file where it was left; ``None`` where it cannot be read or has nothing new."""
        if name == STDIN:
            self.summary.files += 1
            stdin = Stdin(self._stop)
            stream, compressed = stdin.open()
            return _Source(name, stdin, stream, None, join=self._options.join, compressed=compressed)
        try:
            with reading(Path(name)):
                raw = Path(name).open("rb")  # noqa: SIM115 - closed with the source
            try:
                source = self._open_file(name, raw)
            except BaseException:
                raw.close()
                raise
        except FileError as error:
            self.note(error)
            return None
        self.summary.files += source is not None
        return source

    def _open_file(self, name: str, raw: io.BufferedReader) -> _Source | None:
        options = self._options
        claimed = self._states.claim(name, raw.fileno(), again=options.again)
        try:
            state = claimed.state
            with reading(Path(name)):
                size = os.fstat(raw.fileno()).st_size
                compressed = is_compressed(raw)
            if claimed.replaced:
                log.info("the file has other content than before: shipping it from its beginning", file=name)
            if state.size == size and not state.sending and (compressed or not options.follow):
                log.info("nothing new since the file was shipped; --again ships it anew", file=name)
                self.summary.unchanged += 1
                self.summary.done_bytes += size
                claimed.release()
                raw.close()
                return None
            if state.position:
                log.info("going on where it stopped", file=name, offset=state.position)
            with reading(Path(name)):
                stream = uncompressed(raw)
                skip(stream, state.position)
            self.summary.done_bytes += raw.tell()
            covered = self._look_up(name, state) if state.sending else {}
        except BaseException:
            claimed.release()
            raise
        return _Source(name, raw, stream, claimed, join=options.join, compressed=compressed, covered=covered)

    def _look_up(self, name: str, state: FileState) -> dict[int, int]:
        """Find the events past the kept position that an interrupted run has stored all the same."""
        log.info("an earlier run was interrupted: looking for its last events in the topic", file=name)
        found = self._when_there(
            lambda: shipped_since(self._settings, self._topic, state.ends, state.ship_id, self._stop)
        )
        found = {offset: end for offset, end in found.items() if offset >= state.position}
        log.info("events that are there already are left out", file=name, events=len(found))
        return found

    def step(self, source: _Source) -> bool | None:
        """Read and send a block; ``False`` at the end of the input, ``None`` when there is nothing now.

        Raises:
            FileError: The file cannot be read.
            Stopped: A stop was asked for while the broker did not take any more.
        """
        with reading(source.path):
            before = source.on_disk
            block = source.stream.read(_BLOCK_BYTES)
            self.summary.done_bytes += source.on_disk - before
        if block:
            source.read_at = time.monotonic()
            self._take(source, source.splitter.feed(block))
        elif block is None:
            self.rest(source)
        self.collect()
        self.tell()
        return None if block is None else bool(block)

    def _take(self, source: _Source, lines: Iterable[Line]) -> None:
        """Send the events of these lines, but for those that are in the topic already."""
        before = source.remaining.already
        self._send(source, source.remaining.take(lines))
        self.summary.already += source.remaining.already - before

    def _send(self, source: _Source, events: Iterable[Joined]) -> None:
        count = 0
        for event in events:
            if source.claimed and not source.claimed.state.sending:
                self._announce(source.claimed)
            if self._pacer and (early := self._pacer.early(event.lines)):
                self.collect()
                self.tell()
                if self._stop.wait(early):
                    raise Stopped
            while self._outlet.full:
                if self._stop.is_set():
                    raise Stopped
                self._outlet.wait(_POLL_SECONDS)
                self.collect()
                self.tell()
            self._outlet.send(_Sent(source, event), event.value, None, source.headers(event))
            source.in_flight += 1
            source.sent_to = event.end
            count += 1
        self._read.inc(count)

    def _announce(self, claimed: ClaimedState) -> None:
        """Keep, before anything is sent, where in the topic it will be."""

        def ends() -> Offsets:
            with closing(admin(self._settings, job=JOB, stop=self._stop)) as asking:
                return latest_offsets(asking, self._topic)

        claimed.state.ends = self._when_there(ends)
        claimed.state.sending = True
        claimed.state.size = None
        claimed.save()

    def _when_there(self, function: Callable[[], T]) -> T:
        where = self._settings.kafka.bootstrap_servers
        return wait_out(function, is_away, part="kafka", where=where, job=JOB, stop=self._stop)

    def collect(self) -> None:
        """Take in what was acknowledged, and keep it."""
        summary = self.summary
        touched: set[_Source] = set()
        count = 0
        for tag, partition, offset in self._outlet.collect():
            source, event = tag.source, tag.event
            source.in_flight -= 1
            count += 1
            summary.lines += event.lines
            summary.joined += event.lines > 1
            summary.cut += bool(event.headers)
            if source.progress:
                source.progress.stored(event, partition, offset)
                touched.add(source)
        if not count:
            return
        summary.events += count
        self._stored.inc(count)
        now = time.monotonic()
        for source in touched:
            if source.claimed and now - source.saved_at > _SAVE_SECONDS:
                source.claimed.save()
                source.saved_at = now

    def rest(self, source: _Source) -> None:
        """There is nothing new for now: end the event at hand; later, note that nothing is on its way."""
        idle = time.monotonic() - source.read_at
        if idle > _FLUSH_SECONDS and source.joiner.holds:
            self._send(source, source.joiner.flush())
        if idle > _IDLE_SECONDS and source.claimed and source.claimed.state.sending and not source.in_flight:
            self._keep(source)

    def leave(self, source: _Source, how: _Leaving) -> bool:
        """Send what is to be sent still, wait for the broker, and keep how far it came.

        Returns:
            Whether everything that was read is in the topic.
        """
        try:
            if how is _Leaving.AT_END:
                self._take(source, source.splitter.finish())
            if how in (_Leaving.AT_END, _Leaving.REPLACED) or source.claimed is None:
                self._send(source, source.joiner.flush())
            else:
                how = _Leaving.STOPPED
        except Stopped:
            how = _Leaving.STOPPED
        deadline: float | None = None
        while source.in_flight:
            if self._stop.is_set():
                deadline = deadline or time.monotonic() + _GIVE_UP_SECONDS
                if time.monotonic() > deadline:
                    log.warning(
                        "kafka does not acknowledge the last events; the next run looks them up",
                        file=source.name,
                        events=source.in_flight,
                    )
                    break
            self._outlet.wait(_POLL_SECONDS)
            self.collect()
            self.tell()
        self.summary.blank += source.joiner.blank
        self.summary.lines += source.joiner.blank
        self._keep(source, complete=how is _Leaving.AT_END)
        source.close()
        return not source.in_flight and how is not _Leaving.STOPPED

    def _keep(self, source: _Source, *, complete: bool = False) -> None:
        """Write down how far a file has come.

        Args:
            source: The file.
            complete: Whether all of it was read and sent.
        """
        if source.claimed is None or source.progress is None:
            return
        if not source.in_flight:
            source.progress.rested(source.sent_to, source.remaining)
            if complete:
                state = source.claimed.state
                state.position, state.sending = source.splitter.offset, False
                disk = os.fstat(source.raw.fileno()).st_size
                state.size = disk if source.compressed else source.splitter.offset
        source.claimed.save()
        source.saved_at = time.monotonic()

    def tell(self) -> None:
        """Tell the listener how far it is."""
        self.summary.seconds = time.monotonic() - self._began
        self._listener(self.summary)


class _Follower:
    """Keeps reading files that grow, are rotated, truncated, or not there yet."""

    def __init__(self, shipper: _Shipper, names: Sequence[str], stop: Event) -> None:
        self._shipper = shipper
        self._names = names
        self._stop = stop
        self._open: dict[str, _Source] = {}
        self._rotated: list[_Source] = []
        self._done: set[str] = set()
        self._missing: set[str] = set()

    def run(self) -> None:
        """Follow until a stop is asked for, or until nothing is left that could grow."""
        look_at = 0.0
        try:
            while not self._stop.is_set():
                if time.monotonic() >= look_at:
                    self._look()
                    look_at = time.monotonic() + _RESCAN_SECONDS
                progressed = False
                for name, source in list(self._open.items()):
                    read = self._read(source)
                    progressed |= bool(read)
                    if read is False:
                        changed = self._at_end(name, source)
                        look_at = 0.0 if changed else look_at
                for source in list(self._rotated):
                    # Its writer may not have noticed yet that it was rotated.
                    read = self._read(source)
                    progressed |= bool(read)
                    if read is False and time.monotonic() - source.read_at > _IDLE_SECONDS:
                        self._rotated.remove(source)
                        self._shipper.leave(source, _Leaving.AT_END)
                if not progressed:
                    if self._done and not (self._open or self._rotated or self._missing):
                        return
                    self._stop.wait(_POLL_SECONDS)
        except Stopped:
            pass
        finally:
            for source in [*self._rotated, *self._open.values()]:
                self._shipper.leave(source, _Leaving.STOPPED)
            self._shipper.tell()

    def _look(self) -> None:
        """Open the files that are there by now."""
        for name in expand(self._names):
            if name in self._open or name in self._done:
                continue
            if name != STDIN and not is_there(name):
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

    def _read(self, source: _Source) -> bool | None:
        try:
            return self._shipper.step(source)
        except FileError as error:
            self._shipper.note(error)
            if source in self._rotated:
                self._rotated.remove(source)
            else:
                self._done.add(source.name)
                del self._open[source.name]
            self._shipper.leave(source, _Leaving.BROKEN)
            return None

    def _at_end(self, name: str, source: _Source) -> bool:
        """What to do with a file that has nothing more for now; whether its name is free again."""
        if source.claimed is None or source.compressed:
            self._done.add(name)
            self._shipper.leave(self._open.pop(name), _Leaving.AT_END)
        elif source.was_rotated():
            log.info("the file was rotated", file=name)
            source.read_at = time.monotonic()
            self._rotated.append(self._open.pop(name))
            return True
        elif source.was_truncated():
            log.info("the file was truncated or written anew: reading it from its beginning", file=name)
            self._shipper.leave(self._open.pop(name), _Leaving.REPLACED)
            return True
        else:
            self._shipper.rest(source)
        return False


class _Leaving(Enum):
    """Why a file is left."""

    AT_END = auto()
    """All of it was read."""
    REPLACED = auto()
    """What was not read of it is gone."""
    STOPPED = auto()
    """A stop was asked for: the event at hand may go on, and is read again next time."""
    BROKEN = auto()
    """It cannot be read any further."""
