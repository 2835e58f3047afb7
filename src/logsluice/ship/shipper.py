"""The shipper: sends events of files to Kafka, and saves the acknowledged position of each file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Final, TypeVar

import structlog

from logsluice.inputs.files import STDIN, FileError, Line, expand, is_compressed, reading, skip, uncompressed
from logsluice.inputs.multiline import JoinedEvent
from logsluice.inputs.stdin import Stdin
from logsluice.kafka.clients import admin, retry_kafka
from logsluice.kafka.offsets import Offsets, latest_offsets
from logsluice.kafka.ordered_producer import OrderedProducer
from logsluice.kafka.topics import Topic
from logsluice.runtime import metrics
from logsluice.runtime.pacing import Pacer
from logsluice.runtime.retry import StoppedError
from logsluice.settings import Settings
from logsluice.ship.lookup import JOB, shipped_since
from logsluice.ship.resume import Extent
from logsluice.ship.source import CloseReason, Source
from logsluice.ship.state import ClaimedState, FileState, ShipStates

_BLOCK_BYTES: Final = 256 * 1024
_SAVE_SECONDS: Final = 0.5
_POLL_SECONDS: Final = 0.25
_FLUSH_SECONDS: Final = 1.0
_GIVE_UP_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 5.0
"""After so long without anything new a file counts as at rest."""

T = TypeVar("T")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ShipOptions:
    """How to ship.

    Attributes:
        follow: Go on when a file has been read to its end, as ``tail -F`` does.
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
        unchanged: Files left alone because they were shipped before and have not grown.
        lines: Lines dealt with, blank ones included.
        joined: Events of more than one line.
        cut: Events cut to what a record takes.
        blank: Blank lines between events, which are not shipped.
        already: Events that an interrupted run had stored before.
        done_bytes: Bytes of files on disk that are behind, those of earlier runs included.
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


@dataclass(slots=True)
class Sent:
    """What an acknowledgement is about."""

    source: Source
    event: JoinedEvent


class Shipper:
    """What shipping files one after the other and following many have in common."""

    def __init__(
        self,
        settings: Settings,
        options: ShipOptions,
        topic: Topic,
        producer: OrderedProducer[Sent],
        stop: Event,
        listener: Listener,
    ) -> None:
        self._settings = settings
        self._options = options
        self._topic = topic
        self._producer = producer
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
            except StoppedError:
                self.summary.unfinished = len(todo) - number
                return
            finally:
                self.report_progress()

    def _ship_one(self, source: Source) -> None:
        try:
            while self.ship_block(source) is not False:
                if self._stop.is_set():
                    raise StoppedError
        except StoppedError:
            self.finish(source, CloseReason.STOPPED)
            raise
        except FileError as error:
            self.record_failure(error)
            self.finish(source, CloseReason.BROKEN)
        else:
            if not self.finish(source, CloseReason.AT_END):
                raise StoppedError

    def record_failure(self, error: FileError) -> None:
        """Something is wrong with one file: the others go on."""
        log.error(str(error))
        self.summary.failures.append(str(error))

    def open(self, name: str) -> Source | None:
        """Open a file where it was left; ``None`` where it cannot be read or has nothing new."""
        if name == STDIN:
            self.summary.files += 1
            stdin = Stdin(self._stop)
            stream, compressed = stdin.open()
            return Source(name, stdin, stream, None, join=self._options.join, compressed=compressed)
        try:
            with ExitStack() as opened:
                source = self._open_file(name, opened)
                if source:
                    # It is closed with the source.
                    opened.pop_all()
        except FileError as error:
            self.record_failure(error)
            return None
        self.summary.files += source is not None
        return source

    def _open_file(self, name: str, opened: ExitStack) -> Source | None:
        options = self._options
        with reading(Path(name)):
            raw = opened.enter_context(Path(name).open("rb"))  # noqa: SIM115 - the stack closes it
        claimed = self._states.claim(name, raw.fileno(), again=options.again)
        opened.callback(claimed.release)
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
            return None
        if state.position:
            log.info("going on where it stopped", file=name, offset=state.position)
        with reading(Path(name)):
            stream = uncompressed(raw)
            skip(stream, state.position)
        self.summary.done_bytes += raw.tell()
        covered = self._find_stored(name, state) if state.sending else {}
        return Source(name, raw, stream, claimed, join=options.join, compressed=compressed, covered=covered)

    def _find_stored(self, name: str, state: FileState) -> dict[int, Extent]:
        """Find the events past the kept position that an interrupted run has stored all the same."""
        log.info("an earlier run was interrupted: looking for its last events in the topic", file=name)
        found = self._wait_for_kafka(
            lambda: shipped_since(self._settings, self._topic, state.ends, state.ship_id, self._stop)
        )
        found = {offset: extent for offset, extent in found.items() if offset >= state.position}
        log.info("events that are there already are left out", file=name, events=len(found))
        return found

    def ship_block(self, source: Source) -> bool | None:
        """Read and send a block; ``False`` at the end of the input, ``None`` when there is nothing now.

        Raises:
            FileError: The file cannot be read.
            StoppedError: A stop was asked for while the broker did not take any more.
        """
        with reading(source.path):
            before = source.on_disk
            block = source.stream.read(_BLOCK_BYTES)
            self.summary.done_bytes += source.on_disk - before
        if block:
            source.read_at = time.monotonic()
            self._send_lines(source, source.splitter.feed(block))
            if self._options.follow:
                self._send(source, source.quiet_events(_FLUSH_SECONDS))
        elif block is None:
            self.idle(source)
        self.collect()
        self.report_progress()
        return None if block is None else bool(block)

    def _send_lines(self, source: Source, lines: Iterable[Line]) -> None:
        """Send the events of these lines, but for those that are in the topic already."""
        before = source.unstored.already
        self._send(source, source.unstored.feed(lines))
        self.summary.already += source.unstored.already - before

    def _send(self, source: Source, events: Iterable[JoinedEvent]) -> None:
        count = 0
        for event in events:
            source.sending = event.offset
            if source.claimed and not source.claimed.state.sending:
                self._mark_sending(source.claimed)
            if self._pacer and (early := self._pacer.early(event.lines)):
                self.collect()
                self.report_progress()
                if self._stop.wait(early):
                    raise StoppedError
            while self._producer.full:
                if self._stop.is_set():
                    raise StoppedError
                self._producer.wait(_POLL_SECONDS)
                self.collect()
                self.report_progress()
            self._producer.send(Sent(source, event), event.value, None, source.headers(event))
            source.sending = None
            source.in_flight += 1
            count += 1
        self._read.inc(count)

    def _mark_sending(self, claimed: ClaimedState) -> None:
        """Keep, before anything is sent, where in the topic it will be."""

        def ends() -> Offsets:
            with closing(admin(self._settings, job=JOB, stop=self._stop)) as client:
                return latest_offsets(client, self._topic)

        claimed.state.ends = self._wait_for_kafka(ends)
        claimed.state.sending = True
        claimed.state.size = None
        claimed.save()

    def _wait_for_kafka(self, request: Callable[[], T]) -> T:
        return retry_kafka(request, self._settings, job=JOB, stop=self._stop)

    def collect(self) -> None:
        """Take in what was acknowledged, and keep it."""
        summary = self.summary
        touched: set[Source] = set()
        count = 0
        for tag, partition, offset in self._producer.collect():
            source, event = tag.source, tag.event
            source.in_flight -= 1
            count += 1
            summary.lines += event.lines
            summary.joined += event.lines > 1
            summary.cut += bool(event.headers)
            if source.tracker:
                source.tracker.acknowledged(event, partition, offset)
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

    def idle(self, source: Source) -> None:
        """There is nothing new for now: end the event at hand; later, note that nothing is on its way."""
        idle = time.monotonic() - source.read_at
        if idle > _FLUSH_SECONDS and source.joiner.begin is not None:
            self._send(source, source.joiner.flush())
        if idle > IDLE_SECONDS and source.claimed and source.claimed.state.sending and not source.in_flight:
            self._save_position(source)

    def finish(self, source: Source, how: CloseReason) -> bool:
        """Send what is to be sent still, wait for the broker, and keep how far it came.

        Returns:
            Whether everything that was read is in the topic.
        """
        try:
            if how is CloseReason.AT_END:
                self._send_lines(source, source.splitter.finish())
            if how in (CloseReason.AT_END, CloseReason.REPLACED) or source.claimed is None:
                self._send(source, source.joiner.flush())
            else:
                how = CloseReason.STOPPED
        except StoppedError:
            how = CloseReason.STOPPED
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
            self._producer.wait(_POLL_SECONDS)
            self.collect()
            self.report_progress()
        self.summary.blank += source.joiner.blank
        self.summary.lines += source.joiner.blank
        self._save_position(source, complete=how is CloseReason.AT_END)
        source.close()
        return not source.in_flight and how is not CloseReason.STOPPED

    def _save_position(self, source: Source, *, complete: bool = False) -> None:
        """Write down how far a file has come.

        With ``complete`` all of it was read and sent.
        """
        if source.claimed is None or source.tracker is None:
            return
        if not source.in_flight:
            source.tracker.settled(source.unsent)
            if complete:
                state = source.claimed.state
                state.position, state.sending = source.splitter.offset, False
                disk = os.fstat(source.raw.fileno()).st_size
                state.size = disk if source.compressed else source.splitter.offset
        source.claimed.save()
        source.saved_at = time.monotonic()

    def report_progress(self) -> None:
        """Tell the listener how far it is."""
        self.summary.seconds = time.monotonic() - self._began
        self._listener(self.summary)
