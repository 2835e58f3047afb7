"""Statistics of a batch, sent by a worker to the driver, which alone serves metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from logsluice.runtime import metrics

JOB = "regex"
DESTINATION = "results"


@dataclass(slots=True)
class BatchStats:
    """Counts of one Arrow batch.

    Attributes:
        existing: Documents that were there already, in the same or a newer revision.
        reasons: Dead letters by reason.
        datasets: Events by recognised format.
        patterns: Events in which a pattern was found.
        tags: Events indexed with a remark on their input.
        latencies: Seconds from Kafka's append to the acknowledged write, of events taken evenly from the batch.
        retries: Attempts repeated, by the part that was away or busy.
    """

    events: int = 0
    written: int = 0
    existing: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    datasets: dict[str, int] = field(default_factory=dict)
    patterns: dict[str, int] = field(default_factory=dict)
    tags: dict[str, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    retries: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> str:
        """For the way from the worker to the driver."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def from_json(cls, text: str) -> BatchStats:
        """The other end of :meth:`to_json`."""
        fields: dict[str, Any] = orjson.loads(text)
        return cls(**fields)


def count(stats: Iterable[BatchStats]) -> int:
    """Add what workers told to this process's metrics.

    Returns:
        The events in all.
    """
    events = 0
    for batch in stats:
        events += batch.events
        metrics.EVENTS_IN.labels(JOB).inc(batch.events)
        metrics.EVENTS_OUT.labels(JOB, DESTINATION).inc(batch.written + batch.existing)
        metrics.EVENTS_REPEATED.labels(JOB, DESTINATION).inc(batch.existing)
        for reason, number in batch.reasons.items():
            metrics.DEAD_LETTERS.labels(JOB, reason).inc(number)
        for dataset, number in batch.datasets.items():
            metrics.FORMAT_EVENTS.labels(dataset).inc(number)
        for pattern, number in batch.patterns.items():
            metrics.PATTERN_MATCHES.labels(pattern).inc(number)
        for tag, number in batch.tags.items():
            metrics.TAGGED_EVENTS.labels(JOB, tag).inc(number)
        for part, number in batch.retries.items():
            metrics.RETRIES.labels(JOB, part).inc(number)
        for seconds in batch.latencies:
            metrics.END_TO_END_LATENCY.labels(JOB).observe(seconds)
    return events


def evenly_sampled(values: Sequence[int], most: int) -> Sequence[int]:
    """At most so many of the values, evenly."""
    return values[:: -(-len(values) // most)] if values else values
