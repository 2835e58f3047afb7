"""Lookup of the events of a file that an interrupted run has stored in the topic."""

from __future__ import annotations

from contextlib import closing
from threading import Event
from typing import Final

from logsluice.inputs.multiline import JoinedEvent
from logsluice.kafka.clients import admin, consumer
from logsluice.kafka.offsets import earliest_offsets, latest_offsets
from logsluice.kafka.topic_reader import read_between
from logsluice.kafka.topics import Topic
from logsluice.settings import Settings
from logsluice.ship.resume import Extent

JOB: Final = "ship"
SHIP_HEADER: Final = "logsluice-ship"
"""Record header ``<id of the shipping>:<offset after the event's last byte>``; where other streams' lines lie between
the event's own, with ``:<begin>-<end>,...`` of those behind it."""
OFFSET_HEADER: Final = "log.offset"
_SETTLE_SECONDS: Final = 1.0


def write_mark(ship_id: str, event: JoinedEvent) -> bytes:
    """The value of :data:`SHIP_HEADER` for an event."""
    gaps = ",".join(f"{begin}-{end}" for begin, end in event.gaps)
    return f"{ship_id}:{event.end}{':' if gaps else ''}{gaps}".encode()


def read_extent(mark: bytes) -> Extent:
    """What a mark says behind the id of the shipping."""
    end, _, gaps = mark.decode().partition(":")
    pairs = (gap.split("-") for gap in gaps.split(",") if gap)
    return Extent(int(end), tuple((int(begin), int(until)) for begin, until in pairs))


def shipped_since(
    settings: Settings, topic: Topic, ends: dict[int, int], ship_id: str, stop: Event
) -> dict[int, Extent]:
    """Which bytes of a file are in the topic, by the records there.

    Args:
        ends: By partition, the offset to look from; partitions left out are looked through whole.

    Returns:
        The extent of each event by its offset in the file.

    Raises:
        StoppedError: ``stop`` was set.
    """
    with (
        closing(admin(settings, job=JOB, stop=stop)) as client,
        closing(consumer(settings, job=JOB, stop=stop)) as reader,
    ):
        earliest, latest = earliest_offsets(client, topic), latest_offsets(client, topic)
        start = {number: min(latest[number], max(first, ends.get(number, first))) for number, first in earliest.items()}
        prefix = f"{ship_id}:".encode()
        found: dict[int, Extent] = {}
        # The last requests of a killed process may still be on their way into the log: look once more.
        for pause in (_SETTLE_SECONDS, 0.0):
            for record in read_between(reader, topic, start, latest, stop):
                headers = dict(record.headers)
                mark = headers.get(SHIP_HEADER)
                if mark is not None and mark.startswith(prefix):
                    found[int(headers[OFFSET_HEADER])] = read_extent(mark[len(prefix) :])
            stop.wait(pause)
            start, latest = latest, latest_offsets(client, topic)
        return found
