"""Event time, watermarks and lateness: which window an event belongs to, when a window is closed, which event is late.

Time is told by the events. Each partition of the topic has a clock: the latest timestamp of the events before, and
of the event itself. An event is late where its window had ended ``watermark_seconds`` before its own partition's
clock, or was closed already. So who is late follows from the stored records alone, however they are cut into
batches and whatever is killed or replayed; only where a partition was silent does the order of arrival matter.

The watermark, up to which windows are closed, is that of the partition that is furthest behind (as in Akidau et al.,
"The Dataflow Model", VLDB 2015), so that a backlog may be read at any speed. Spark's own is the furthest ahead; it
gets this one by a row a batch, see :func:`logsluice.jobs.windows.events.clock_rows`.

All times are microseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import NamedTuple, Self

import orjson
import polars as pl

from logsluice.settings import WindowsSettings

SECOND = 1_000_000
HOUR = 3600 * SECOND
CLOCK_ROW = "clock"
"""In the column ``money``: a row that is no event, but tells Spark the watermark."""

HISTORY = 300 * SECOND
"""An event that is older than this when it arrives is history that is being replayed."""


class WindowRules(NamedTuple):
    """:class:`~logsluice.settings.WindowsSettings` in microseconds."""

    window: int
    delay: int
    idle: int
    ahead: int

    @classmethod
    def of(cls, settings: WindowsSettings) -> Self:
        """From the settings."""
        return cls(
            settings.window_seconds * SECOND,
            round(settings.watermark_seconds * SECOND),
            round(settings.idle_seconds * SECOND),
            round(settings.ahead_seconds * SECOND),
        )

    def window_end(self, time: int) -> int:
        """The end of the window that a time is in."""
        return (time // self.window + 1) * self.window


@dataclass(frozen=True, slots=True)
class PartitionClock:
    """How far a partition has come.

    Attributes:
        clock: The latest time of its events, never ahead of their arrival in Kafka.
        latest: The latest time of its events.
        lead: The latest timestamp that an event had of its own, never ahead of its arrival.
        timed: That of the last event whose timestamp was about there.
        age: How old that event was when it arrived.
    """

    offset: int
    clock: int
    latest: int
    lead: int | None = None
    timed: int | None = None
    age: int | None = None


@dataclass(slots=True)
class Clock:
    """What a batch has to know of the ones before it.

    Attributes:
        watermark: Windows that end here or before take nothing more in the next batch; None before any event.
        closed: Windows that end here or before are written: Spark's watermark in the next batch.
        waiting: Windows with late events that are neither open nor written: start and service.
    """

    partitions: dict[int, PartitionClock] = field(default_factory=dict)
    watermark: int | None = None
    closed: int | None = None
    waiting: list[tuple[int, str]] = field(default_factory=list)

    def to_json(self) -> bytes:
        """For the checkpoint."""
        return orjson.dumps(asdict(self), option=orjson.OPT_NON_STR_KEYS)

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """The other end of :meth:`to_json`."""
        content = orjson.loads(text)
        partitions = {int(number): PartitionClock(**entry) for number, entry in content["partitions"].items()}
        waiting = [(start, service) for start, service in content["waiting"]]
        return cls(partitions, content["watermark"], content["closed"], waiting)


class LatenessEvaluation(NamedTuple):
    """What became of a partition's events.

    Attributes:
        untimed: Whether it had no timestamp of its own that could be believed.
        late: Whether its window takes nothing more.
    """

    time: pl.Series
    untimed: pl.Series
    late: pl.Series
    clock: PartitionClock


def evaluate_lateness(
    own: pl.Series,
    appended: pl.Series,
    next_offset: int,
    before: PartitionClock | None,
    watermark: int | None,
    rules: WindowRules,
) -> LatenessEvaluation:
    """Give every event its time and say whether it is late.

    An event without a timestamp, or one that cannot be read, takes that of its arrival in Kafka, and so does one
    whose timestamp lies more than ``ahead`` after it, which cannot be true. Where the event with a timestamp before
    it was history when it arrived, it takes that one's time: it is history as well.

    Args:
        own: The events' own timestamps, in the order of their offsets; null, or equal to ``appended``, where an
            event has none.
    """
    frame = pl.DataFrame({"own": own, "appended": appended}, schema={"own": pl.Int64, "appended": pl.Int64})
    own_time = pl.col("own")
    believed = (
        own_time.is_not_null() & (own_time != pl.col("appended")) & (own_time <= pl.col("appended") + rules.ahead)
    )
    frame = frame.with_columns(pl.when(believed).then(own_time).alias("timed"))
    lead = pl.min_horizontal("timed", pl.when(believed).then("appended")).cum_max().forward_fill()
    if before is not None:
        lead = pl.max_horizontal(lead, pl.lit(before.lead, pl.Int64))
    frame = frame.with_columns(lead.alias("lead"))
    # One event with a wrong date says nothing of those that come after it.
    typical = pl.when(pl.col("timed") >= pl.col("lead") - HISTORY).then("timed")
    frame = frame.with_columns(typical.alias("typical")).with_columns(
        pl.col("typical").forward_fill().alias("last"),
        (pl.col("appended") - pl.col("typical")).forward_fill().alias("age"),
    )
    if before is not None:
        first, age = pl.lit(before.timed, pl.Int64), pl.lit(before.age, pl.Int64)
    else:
        # At the very beginning the first event with a timestamp says whether this is history.
        first = pl.col("typical").drop_nulls().first()
        age = (pl.col("appended") - pl.col("typical")).drop_nulls().first()
    frame = frame.with_columns(pl.col("last").fill_null(first), pl.col("age").fill_null(age))
    otherwise = pl.when(pl.col("age") > HISTORY).then(pl.col("last")).otherwise(pl.col("appended"))
    frame = frame.with_columns(pl.coalesce("timed", otherwise).alias("time"))
    clock = pl.min_horizontal("time", "appended").cum_max()
    if before is not None:
        clock = pl.max_horizontal(clock, pl.lit(before.clock, pl.Int64))
    closed = clock - rules.delay
    if watermark is not None:
        closed = pl.max_horizontal(closed, pl.lit(watermark, pl.Int64))
    end = (pl.col("time") // rules.window + 1) * rules.window
    frame = frame.with_columns(clock.alias("clock"), (end <= closed).alias("late"))
    last = frame.select("clock", pl.col("time").cum_max().alias("latest"), "lead", "last", "age").row(-1, named=True)
    return LatenessEvaluation(
        frame["time"],
        frame["timed"].is_null(),
        frame["late"],
        PartitionClock(
            next_offset,
            last["clock"],
            max(last["latest"], before.latest) if before else last["latest"],
            last["lead"],
            last["last"],
            last["age"],
        ),
    )


class PartitionStatus(NamedTuple):
    """How it stands with reading a partition after a batch.

    Attributes:
        behind: Whether there is more to read.
        silent: Microseconds since it last had anything to read, by the wall clock.
    """

    behind: bool
    silent: int


def next_watermark(clock: Clock, statuses: Mapping[int, PartitionStatus], rules: WindowRules) -> int | None:
    """Up to where windows may be closed after a batch.

    The partition that is furthest behind decides. One that was read to its end and then silent for ``idle`` is
    left out. Where all are silent, time goes on with the wall clock, counted from the last event: so it stays
    true when history is replayed, as long as there is any to read. It stops where nothing is open any more.
    """
    active = [number for number, status in statuses.items() if status.behind or status.silent < rules.idle]
    clocks = clock.partitions
    candidate: int | None = None
    if active:
        # One that has more to read, and nothing read yet, may hold anything; an empty one holds nothing.
        if not any(statuses[number].behind and number not in clocks for number in active):
            times = [clocks[number].clock for number in active if number in clocks]
            candidate = min(times) - rules.delay if times else None
    elif clocks:
        silent = min(status.silent for status in statuses.values())
        newest = max(entry.clock for entry in clocks.values())
        open_until = rules.window_end(max(entry.latest for entry in clocks.values()))
        candidate = min(newest - rules.delay + silent, open_until)
    if candidate is None or clock.watermark is None:
        return candidate if clock.watermark is None else clock.watermark
    return max(candidate, clock.watermark)
