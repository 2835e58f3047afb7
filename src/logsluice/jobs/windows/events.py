"""The windows job's work in Spark's Python workers: from records to the few columns that windows are made of.

A worker keeps the processed events in files by itself, so that they do not cross back to the JVM. A file is named by
the first offset in it and replaced as a whole: a batch that is done again leaves the same files.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson
import polars as pl
import pyarrow as pa
from pyspark import AccumulatorParam, TaskContext

from logsluice.documents.extraction_input import extraction_input
from logsluice.extract.schema import LABELS, REASON
from logsluice.extract.severity import counted_level
from logsluice.jobs.spark.extractor_spec import ExtractorSpec, extractor
from logsluice.jobs.spark.kafka_records import records_from_arrow
from logsluice.jobs.windows.clock import (
    CLOCK_ROW,
    Clock,
    LatenessEvaluation,
    PartitionClock,
    WindowRules,
    evaluate_lateness,
)
from logsluice.jobs.windows.files import EventFiles

CLOCK_PROPERTY = "logsluice.windows.clock"
"""The local property by which the driver tells the tasks of a batch the clock."""

BATCH_PROPERTY = "streaming.sql.batchId"
"""Where Spark tells the tasks of a batch its number."""

UNKNOWN = "unknown"
"""The service of an event that names none."""

SCALE = 9
ROW_SCHEMA = pa.schema(
    [
        pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("service", pa.string()),
        pa.field("money", pa.string()),
        pa.field("level", pa.string()),
        pa.field("user", pa.string()),
        pa.field("duration", pa.int64()),
        pa.field("paid", pa.string()),
        pa.field("amount", pa.decimal128(28, SCALE)),
        pa.field("scale", pa.int32()),
        pa.field("appended", pa.int64()),
    ]
)
ROW_DDL = (
    "time timestamp, service string, money string, level string, user string, duration bigint, paid string, "
    f"amount decimal(28,{SCALE}), scale int, appended bigint"
)
"""A row an event, with ``paid`` for a payment or refund that succeeded; and, after it, one more with its amount, in
which ``money`` names what and in which currency (``payment EUR``)."""

EVENT_FIELDS = (
    "service.name",
    "host.name",
    "log.level",
    "log.logger",
    "message",
    "event.dataset",
    "event.action",
    "event.outcome",
    "event.duration",
    "error.type",
    "error.message",
    "user.id",
    "session.id",
    "trace.id",
    "source.ip",
    "http.request.method",
    "http.response.status_code",
    "url.path",
)
"""The fields of a processed event that are kept in the files, beside its identity, its times and its amount."""

_MONEY = ("payment", "refund")
_AMOUNT = re.compile(rf"[+-]?[0-9]{{1,19}}(?:\.[0-9]{{1,{SCALE}}})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_NO_CURRENCY = "XXX"
"""ISO 4217's code for it."""
# What a plain line says at its end; the events' makers are described in logsluice.demo.traffic.
_IN_MESSAGE = {
    "event.action": r"(?:^|[\s\[])event\.action=([A-Za-z][A-Za-z-]{0,63})(?:[\s\]]|$)",
    "event.outcome": r"(?:^|[\s\[])event\.outcome=([a-z]{1,20})(?:[\s\]]|$)",
    "labels.amount": r"(?:^|[\s\[])labels\.amount=([0-9.+-]{1,40})(?:[\s\]]|$)",
    "labels.currency": r"(?:^|[\s\[])labels\.currency=([A-Z]{3})(?:[\s\]]|$)",
}


@dataclass(frozen=True, slots=True)
class WindowsTaskSpec:
    """All that a worker has to know."""

    topic: str
    topic_id: str
    extractor_spec: ExtractorSpec
    rules: WindowRules
    output: str


@dataclass(slots=True)
class TaskStats:
    """What a task read of its partition.

    Attributes:
        late: Late events by window's start and service.
        untimed: Events that were given a time.
        unreadable: Events left out, by reason.
        amounts: Payments and refunds with no readable amount.
    """

    clock: PartitionClock
    events: int = 0
    late: Counter[tuple[int, str]] = field(default_factory=Counter)
    untimed: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)
    amounts: int = 0


TaskKey = tuple[int, int]
"""A batch's number and a partition's."""


class TaskStatsParam(AccumulatorParam[dict[TaskKey, TaskStats]]):  # type: ignore[misc]
    """Gathers what tasks tell, each once however often it is tried."""

    def zero(self, _value: dict[TaskKey, TaskStats]) -> dict[TaskKey, TaskStats]:
        """Nothing."""
        return {}

    def addInPlace(
        self, value1: dict[TaskKey, TaskStats], value2: dict[TaskKey, TaskStats]
    ) -> dict[TaskKey, TaskStats]:
        """Both; of one task that ran twice the later word."""
        value1.update(value2)
        return value1


def event_rows(batches: Iterable[pa.RecordBatch], task: WindowsTaskSpec, task_stats: Any) -> Iterator[pa.RecordBatch]:
    """For ``mapInArrow``: the rows of a partition's records that are in time.

    Args:
        batches: Of :func:`logsluice.jobs.spark.kafka_records.record_columns`: one task has records of one partition, in
            the order of their offsets.
        task_stats: The accumulator of :class:`TaskStatsParam`.
    """
    context = TaskContext.get()
    clock = Clock.from_json(context.getLocalProperty(CLOCK_PROPERTY).encode())
    number = int(context.getLocalProperty(BATCH_PROPERTY) or 0)
    partition: int | None = None
    stats: TaskStats | None = None
    files = EventFiles(task.output, task.topic_id)
    for batch in batches:
        if not batch.num_rows:
            continue
        found = batch["partition"][0].as_py()
        if partition not in (None, found) or batch["partition"][-1].as_py() != found:
            raise RuntimeError("a task has records of two partitions")
        partition = found
        before = stats.clock if stats else clock.partitions.get(found)
        events = read_events(batch, task)
        evaluation = evaluate_lateness(
            events["own"], events["appended"], events["offset"][-1] + 1, before, clock.watermark, task.rules
        )
        stats = stats or TaskStats(evaluation.clock)
        frame = with_lateness(events, evaluation, task.rules)
        readable = frame.filter(pl.col(REASON).is_null()).drop(REASON)
        _update_stats(stats, frame, readable, evaluation.clock)
        files.add(found, events["offset"][0], readable)
        yield from window_rows(readable.filter(~pl.col("late")))
    if stats is not None and partition is not None:
        files.write()
        task_stats.add({(number, partition): stats})


def read_events(batch: pa.RecordBatch, task: WindowsTaskSpec) -> pl.DataFrame:
    """Extract the facts of records.

    Returns:
        A row a record: ``partition``, ``offset``, ``own`` (its timestamp) and ``appended`` in microseconds, the reason
        why it cannot be read, the fields that are kept, ``labels.amount`` and ``labels.currency`` as text.
    """
    records = records_from_arrow(batch, task.topic)
    extracted = extractor(task.extractor_spec).extract(extraction_input(records))
    names = [name for name in EVENT_FIELDS if name in extracted.schema.names]
    chosen = pl.DataFrame(pl.from_arrow(extracted.select(["@timestamp", REASON, LABELS, *names])))
    frame = chosen.with_columns(
        *(pl.lit(None, pl.String).alias(name) for name in EVENT_FIELDS if name not in names),
        pl.Series("partition", records.partition, pl.Int32),
        pl.Series("offset", records.offset, pl.Int64),
        (pl.Series("appended", records.timestamp_ms, pl.Int64) * 1000).alias("appended"),
        pl.col("@timestamp").dt.epoch("us").alias("own"),
        pl.col("service.name").fill_null(UNKNOWN),
        pl.Series("event.id", [str(records.event_id(row)) for row in range(len(records))], pl.String),
    )
    return with_money(frame.drop("@timestamp"))


def with_money(frame: pl.DataFrame) -> pl.DataFrame:
    """Action, outcome, amount and currency, wherever an event says them: in fields, in labels, in its message."""
    found = {name: _from_labels(frame[LABELS], name) for name in ("labels.amount", "labels.currency")}
    frame = frame.with_columns(**found).drop(LABELS)
    in_message = pl.col("message").str.contains("event.action=", literal=True) & pl.col("event.action").is_null()
    if not frame.select(in_message.any()).item():
        return frame
    extracted = {
        name: pl.coalesce(pl.col(name), pl.when(in_message).then(pl.col("message").str.extract(pattern)))
        for name, pattern in _IN_MESSAGE.items()
    }
    return frame.with_columns(**extracted)


def _from_labels(labels: pl.Series, name: str) -> pl.Series:
    leaf = name.partition(".")[2]
    values: list[str | None] = []
    for text in labels:
        # A look at the text spares most events the parsing.
        found = orjson.loads(text) if text is not None and leaf in text else {}
        values.append(found.get(name) or found.get(leaf))
    return pl.Series(name, values, pl.String)


def with_lateness(frame: pl.DataFrame, evaluation: LatenessEvaluation, rules: WindowRules) -> pl.DataFrame:
    """Events with their time, their window's start, and whether they are late."""
    time = evaluation.time.cast(pl.Int64)
    return frame.with_columns(
        time.alias("time"),
        ((time // rules.window) * rules.window).alias("window"),
        evaluation.untimed.alias("untimed"),
        evaluation.late.alias("late"),
    )


def window_rows(frame: pl.DataFrame) -> Iterator[pa.RecordBatch]:
    """Events as :data:`ROW_SCHEMA`, and their amounts after them."""
    if not len(frame):
        return
    paid = pl.when((pl.col("event.outcome") == "success") & pl.col("event.action").is_in(_MONEY)).then("event.action")
    main = frame.select(
        pl.col("time"),
        pl.col("service.name").alias("service"),
        pl.lit(None, pl.String).alias("money"),
        counted_level().alias("level"),
        pl.col("user.id").alias("user"),
        pl.col("event.duration").cast(pl.Int64).alias("duration"),
        paid.alias("paid"),
        "appended",
    )
    yield _row_batch(main, [None] * len(main), [None] * len(main))
    money = frame.with_columns(paid.alias("paid")).filter(pl.col("paid").is_not_null())
    read = [parse_amount(text) for text in money["labels.amount"]]
    money = money.filter(pl.Series([amount is not None for amount in read], dtype=pl.Boolean))
    amounts = [amount for amount in read if amount is not None]
    if amounts:
        parts = money.select(
            "time",
            pl.col("service.name").alias("service"),
            pl.Series("money", _money_kinds(money)),
            *(pl.lit(None, pl.String).alias(name) for name in ("level", "user", "paid")),
            pl.lit(None, pl.Int64).alias("duration"),
            "appended",
        )
        yield _row_batch(parts, amounts, [-int(amount.as_tuple().exponent) for amount in amounts])


def parse_amount(text: str | None) -> Decimal | None:
    """An amount of money; None where the text is none, or finer than a billionth."""
    return Decimal(text) if text is not None and _AMOUNT.fullmatch(text) else None


def _money_kinds(frame: pl.DataFrame) -> list[str]:
    codes = [code if code and _CURRENCY.fullmatch(code) else _NO_CURRENCY for code in frame["labels.currency"]]
    return [f"{paid} {code}" for paid, code in zip(frame["paid"], codes, strict=True)]


def _row_batch(frame: pl.DataFrame, amounts: Sequence[Decimal | None], scales: Sequence[int | None]) -> pa.RecordBatch:
    columns: dict[str, Any] = {name: frame[name].to_arrow() for name in frame.columns}
    columns |= {
        "time": pa.array(frame["time"].to_numpy(), pa.int64()).cast(pa.timestamp("us", tz="UTC")),
        "amount": pa.array(amounts, pa.decimal128(28, SCALE)),
        "scale": pa.array(scales, pa.int32()),
    }
    return pa.record_batch([columns[name].cast(ROW_SCHEMA.field(name).type) for name in ROW_SCHEMA.names], ROW_SCHEMA)


def _update_stats(stats: TaskStats, frame: pl.DataFrame, readable: pl.DataFrame, clock: PartitionClock) -> None:
    stats.clock = clock
    stats.events += len(frame)
    stats.untimed += int(readable["untimed"].sum())
    stats.unreadable.update(frame[REASON].drop_nulls().to_list())
    late = readable.filter("late").group_by("window", "service.name").len()
    stats.late.update({(start, service): number for start, service, number in late.iter_rows()})
    paid = readable.filter((pl.col("event.outcome") == "success") & pl.col("event.action").is_in(_MONEY))
    stats.amounts += sum(parse_amount(text) is None for text in paid["labels.amount"])


def clock_rows(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """For ``mapInArrow``: one row whose time is the batch's watermark."""
    for batch in batches:
        if batch.num_rows:
            text = TaskContext.get().getLocalProperty(CLOCK_PROPERTY)
            watermark = Clock.from_json(text.encode()).watermark or 0
            columns = {name: pa.nulls(1, ROW_SCHEMA.field(name).type) for name in ROW_SCHEMA.names}
            columns["time"] = pa.array([watermark], pa.timestamp("us", tz="UTC"))
            columns["money"] = pa.array([CLOCK_ROW])
            yield pa.record_batch([columns[name] for name in ROW_SCHEMA.names], ROW_SCHEMA)
