"""The windows job's files, which anybody may read by a plain glob at any time.

Below the output folder, by UTC day and hour of the window's start::

    windows/csv/date=2026-11-22/hour=10/windows.csv               finished windows
    windows/parquet/date=2026-11-22/hour=10/windows.parquet       the same
    events/date=2026-11-22/hour=10/events-<topic id>.parquet      the processed events of a finished hour
    late/date=2026-11-22/hour=10/part-<topic id>-<partition>-<offset>.parquet
    _spool/...                                                    processed events of hours that are not finished

Every file is replaced as a whole, in one step, by one with a name that follows from what is in it. So a batch that is
done again leaves the same files, and no reader ever sees half a file or an event twice.
"""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from logsluice.jobs.spark.object_store import Store
from logsluice.jobs.windows.clock import HOUR
from logsluice.jobs.windows.tables import Key, merge_windows, windows_by_hour, windows_by_key, windows_csv

_EVENTS = "events"
_LATE = "late"
_SPOOL = "_spool"
_RECORD = ("kafka.topic_id", "kafka.partition", "kafka.offset")


def hour_folder(hour: int) -> str:
    """The folder of an hour, in the manner of Hive.

    Args:
        hour: Its start in microseconds since the epoch.
    """
    moment = datetime.fromtimestamp(hour // 1_000_000, UTC)
    return f"date={moment:%Y-%m-%d}/hour={moment:%H}"


class EventFiles:
    """Writes a task's events, once all of them are there."""

    def __init__(self, output: str, topic_id: str) -> None:
        self._store = Store(output)
        self._topic_id = topic_id
        self._parts: defaultdict[str, list[pl.DataFrame]] = defaultdict(list)
        self._name = ""

    def add(self, partition: int, offset: int, events: pl.DataFrame) -> None:
        """Take events of one partition, with ``time``, ``window`` and ``late``.

        Args:
            offset: The first offset that was read; that of the first call names the files.
        """
        self._name = self._name or f"part-{self._topic_id}-{partition}-{offset:020d}.parquet"
        table = event_table(events, self._topic_id)
        for (late, hour), part in table.partition_by("late", "hour", as_dict=True).items():
            folder = f"{_LATE}/{hour_folder(hour)}" if late else f"{_SPOOL}/{self._topic_id}/{hour}"
            self._parts[folder].append(part.drop("late", "hour"))

    def write(self) -> None:
        """Write them, each file in one step."""
        for folder, parts in self._parts.items():
            self._store.write(f"{folder}/{self._name}", parquet_bytes(pl.concat(parts)))


def event_table(events: pl.DataFrame, topic_id: str) -> pl.DataFrame:
    """Processed events as they are kept, with ``late`` and ``hour`` to put them in their place."""
    instants = {"@timestamp": "time", "window.start": "window", "kafka.timestamp": "appended"}
    return events.select(
        *(pl.col(column).cast(pl.Datetime("us", "UTC")).alias(name) for name, column in instants.items()),
        pl.lit(topic_id).alias("kafka.topic_id"),
        pl.col("partition").alias("kafka.partition"),
        pl.col("offset").alias("kafka.offset"),
        pl.col("untimed").alias("logsluice.untimed"),
        pl.exclude("time", "window", "appended", "partition", "offset", "untimed", "own", "late"),
        pl.col("late"),
        ((pl.col("window") // HOUR) * HOUR).alias("hour"),
    )


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    """A table as a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(frame.to_arrow(), buffer, compression="zstd")
    return buffer.getvalue()


class HourFiles:
    """What the driver does with whole hours."""

    def __init__(self, output: str, topic_id: str) -> None:
        self._store = Store(output)
        self._topic_id = topic_id

    def late_counts(self, hours: Iterable[int]) -> Counter[Key]:
        """Late events by window's start and service, counted in what is kept of them."""
        counts: Counter[Key] = Counter()
        for hour in hours:
            folder = f"{_LATE}/{hour_folder(hour)}"
            columns = [*_RECORD, "window.start", "service.name"]
            parts = [self._read(f"{folder}/{name}", columns) for name in self._store.names(folder)]
            if parts:
                found = pl.concat(parts).unique(_RECORD)
                grouped = found.group_by(pl.col("window.start").dt.epoch("us"), "service.name").len()
                counts.update({(start, service): number for start, service, number in grouped.iter_rows()})
        return counts

    def write_windows(self, windows: pl.DataFrame) -> None:
        """Add windows to the files of their hours; a window that is there already is replaced."""
        for hour, new in windows_by_hour(windows).items():
            both = merge_windows(self._windows(hour), new)
            self._store.write(f"windows/parquet/{hour_folder(hour)}/windows.parquet", parquet_bytes(both))
            self._store.write(f"windows/csv/{hour_folder(hour)}/windows.csv", windows_csv(both))

    def windows_of(self, hours: Iterable[int]) -> dict[Key, dict[str, Any]]:
        """The windows of some hours, as they are kept."""
        frames = [frame for hour in hours if (frame := self._windows(hour)) is not None]
        return {key: row for frame in frames for key, row in windows_by_key(frame).items()}

    def publish(self, after: int | None, until: int) -> list[int]:
        """Make the file of processed events of every hour that is finished.

        Args:
            after: Hours that ended here or before were published by an earlier batch: what was left of them goes.
            until: Hours that end here or before are finished.

        Returns:
            The hours that were published.
        """
        published = []
        for name in self._store.folders(f"{_SPOOL}/{self._topic_id}"):
            end = int(name) + HOUR
            folder = f"{_SPOOL}/{self._topic_id}/{name}"
            if after is not None and end <= after:
                self._store.delete(folder)
            elif end <= until:
                self._merge(folder, self._topic_id, int(name))
                published.append(int(name))
        return published

    def publish_remaining(self) -> None:
        """Publish what a topic that is gone left behind."""
        for topic_id in self._store.folders(_SPOOL):
            if topic_id != self._topic_id:
                for name in self._store.folders(f"{_SPOOL}/{topic_id}"):
                    self._merge(f"{_SPOOL}/{topic_id}/{name}", topic_id, int(name))
                self._store.delete(f"{_SPOOL}/{topic_id}")

    def _windows(self, hour: int) -> pl.DataFrame | None:
        content = self._store.read(f"windows/parquet/{hour_folder(hour)}/windows.parquet")
        return pl.read_parquet(io.BytesIO(content)) if content else None

    def _merge(self, folder: str, topic_id: str, hour: int) -> None:
        """One file of many, a piece at a time: an hour may be larger than memory."""
        target = f"{_EVENTS}/{hour_folder(hour)}/events-{topic_id}.parquet"
        pieces = self._once_each(f"{folder}/{name}" for name in self._store.names(folder))
        first = next(pieces, None)
        if first is None:
            return
        with self._store.replacing(target) as out, pq.ParquetWriter(out, first.schema, compression="zstd") as writer:
            writer.write_table(first)
            for piece in pieces:
                writer.write_table(piece)

    def _once_each(self, paths: Iterable[str]) -> Iterator[pa.Table]:
        """The tables of files whose names are in the order of their offsets; what overlaps is left out.

        Files overlap where a checkpoint was deleted, so that the topic was read again in other batches.
        """
        read: dict[int, int] = {}
        for path in sorted(paths):
            frame = self._read(path)
            partition = frame["kafka.partition"][0]
            new = frame.filter(pl.col("kafka.offset") > read.get(partition, -1))
            read[partition] = max(read.get(partition, -1), frame["kafka.offset"][-1])
            if len(new):
                yield new.to_arrow()

    def _read(self, path: str, columns: list[str] | None = None) -> pl.DataFrame:
        return pl.read_parquet(io.BytesIO(self._store.read(path) or b""), columns=columns)
