"""Files into Kafka: their lines joined to events, each event once, whatever is killed on the way.

How "once" is reached: every record says which file it is from and which bytes of it it holds. Kept on disk
is a position of the file up to which everything is acknowledged, and, by partition, an offset of the topic
before which nothing past that position is. After a crash the topic is read from those offsets on; what is
found there is left out when the file is read from the position on.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from threading import Event

from logsluice.kafka.ordered_producer import OrderedProducer
from logsluice.kafka.topics import wait_for_topic
from logsluice.settings import Settings
from logsluice.ship.follower import Follower
from logsluice.ship.lookup import JOB
from logsluice.ship.shipper import Listener, Sent, ShipOptions, Shipper, ShipSummary


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
        stop: Ends it when set: what was read is sent first, and the state is kept.

    Returns:
        What was done. A file that cannot be read is in its failures; the others are shipped.

    Raises:
        LogsluiceError: Kafka refuses credentials or records, or the state cannot be kept.
        StoppedError: ``stop`` was set before Kafka answered.
    """
    topic = wait_for_topic(settings, settings.kafka.topic, job=JOB, stop=stop)
    producer: OrderedProducer[Sent] = OrderedProducer(settings, topic.name, job=JOB, stop=stop)
    shipper = Shipper(settings, options, topic, producer, stop, listener)
    with closing(producer):
        if options.follow:
            Follower(shipper, names, stop).run()
        else:
            shipper.ship_all(names)
    return shipper.summary
