"""What the Spark jobs decide about topics, offsets and failures, without Spark."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logsluice.jobs.regex.batch import Slice, slices
from logsluice.jobs.regex.stats import BatchStats, evenly_sampled
from logsluice.jobs.spark.checkpoints import checkpoint_of, lost_offsets, was_made_again
from logsluice.jobs.spark.failures import describe_error, is_data_loss, permanent_error
from logsluice.jobs.spark.kafka_records import records_from_arrow
from logsluice.kafka.offsets import CommittedOffset
from logsluice.kafka.topics import Topic

TOPIC = Topic("logs", "new-id", (0, 1))
OFFSETS = st.dictionaries(st.integers(0, 5), st.integers(0, 1_000), min_size=1)


def test_a_checkpoint_belongs_to_one_topic_of_a_name(tmp_path: Path) -> None:
    location = str(tmp_path)
    assert checkpoint_of(location, TOPIC) == f"{location}/regex/logs/new-id"
    assert checkpoint_of(f"file://{location}/", TOPIC) == f"{location}/regex/logs/new-id"
    assert checkpoint_of("s3a://bucket/checkpoints", TOPIC) == "s3a://bucket/checkpoints/regex/logs/new-id"
    assert checkpoint_of(location, TOPIC, "windows-60s") == f"{location}/windows-60s/logs/new-id"


@pytest.mark.parametrize(
    ("folders", "committed_for", "expected"),
    [
        ([], [], False),
        (["new-id"], [], False),
        (["old-id", "new-id"], [], False),  # said when the new one was first read
        (["old-id"], [], True),
        ([], ["old-id"], True),
        ([], ["new-id"], False),
        ([], [""], False),  # committed by another tool
    ],
)
def test_a_topic_made_again_is_noticed(
    tmp_path: Path, folders: list[str], committed_for: list[str], expected: bool
) -> None:
    for folder in folders:
        (tmp_path / "regex" / "logs" / folder).mkdir(parents=True)
    committed = {partition: CommittedOffset(7, topic_id) for partition, topic_id in enumerate(committed_for)}
    assert was_made_again(str(tmp_path), TOPIC, committed) is expected


def test_lost_events_are_those_between_the_commit_and_the_earliest_offset() -> None:
    committed = {0: CommittedOffset(10, "new-id"), 1: CommittedOffset(50, "new-id")}
    assert lost_offsets({0: 25, 1: 50, 2: 7}, committed) == 15


@given(start=OFFSETS, lengths=st.lists(st.integers(0, 500), min_size=6, max_size=6), events=st.integers(1, 300))
def test_slices_cover_a_topic_without_gap_or_overlap(start: dict[int, int], lengths: list[int], events: int) -> None:
    end = {partition: offset + lengths[partition] for partition, offset in start.items()}
    found = list(slices(start, end, events))
    assert sum(part.events for part in found) == sum(end.values()) - sum(start.values())
    position = dict(start)
    for part in found:
        assert part.start == position
        assert part.events <= events + len(start)
        position = part.end
    assert position == end


def test_a_slice_counts_offsets() -> None:
    assert Slice({0: 5, 1: 7}, {0: 6, 1: 17}).events == 11


def test_failures_are_told_in_one_line() -> None:
    java = (
        "Job aborted due to stage failure.\n"
        "org.apache.spark.SparkException: Job aborted\n\tat org.apache.spark.Foo.bar(Foo.scala:1)\n"
        "Caused by: org.apache.kafka.common.errors.TimeoutException: Timed out waiting for a node assignment.\n"
        "\tat java.base/java.lang.Thread.run(Thread.java:840)"
    )
    assert describe_error(RuntimeError(java)) == "TimeoutException: Timed out waiting for a node assignment."
    assert describe_error(RuntimeError()) == "RuntimeError"


def test_what_a_worker_refuses_is_found_in_sparks_words() -> None:
    text = (
        "[PYTHON_EXCEPTION] An exception was thrown from the Python worker: Traceback (most recent call last):\n"
        '  File "workers.py", line 1, in write\n'
        "logsluice.errors.LogsluiceError: http://es:9200: Elasticsearch refuses; check the password\n SQLSTATE: 38000"
    )
    assert permanent_error(RuntimeError(text)) == "http://es:9200: Elasticsearch refuses; check the password"
    assert permanent_error(RuntimeError("something else")) is None


def test_data_loss_is_told_from_other_failures() -> None:
    assert is_data_loss(RuntimeError("[KAFKA_DATA_LOSS.PARTITION_OFFSET_CHANGED] Partition logs-0 offset was changed"))
    assert not is_data_loss(RuntimeError("TimeoutException: Timed out"))


def test_counts_survive_the_way_from_a_worker() -> None:
    stats = BatchStats(events=3, written=2, reasons={"empty": 1}, patterns={"ip": 2}, latencies=[0.5])
    assert BatchStats.from_json(stats.to_json()) == stats


@pytest.mark.parametrize(("count", "most", "expected"), [(0, 5, 0), (5, 5, 5), (6, 5, 3), (10_000, 500, 500)])
def test_samples_are_spread_over_the_batch(count: int, most: int, expected: int) -> None:
    assert len(evenly_sampled(range(count), most)) == expected


def test_records_keep_keys_headers_and_tombstones() -> None:
    header = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
    batch = pa.record_batch(
        {
            "partition": pa.array([0, 1, 2], pa.int32()),
            "offset": pa.array([5, 6, 7], pa.int64()),
            "timestamp_ms": pa.array([1, 2, 3], pa.int64()),
            "value": pa.array([b"a", None, b"c"], pa.binary()),
            "key": pa.array([None, b"k", None], pa.binary()),
            "headers": pa.array(
                [None, [{"key": "x", "value": b"1"}, {"key": "y", "value": None}], [{"key": "z", "value": b""}]],
                header,
            ),
        }
    )
    records = records_from_arrow(batch, "logs")
    assert [str(records.event_id(row)) for row in range(3)] == ["logs-0-5-1", "logs-1-6-2", "logs-2-7-3"]
    assert list(records.value) == [b"a", None, b"c"]
    assert [records.key_of(row) for row in range(3)] == [None, b"k", None]
    assert [list(records.headers_of(row)) for row in range(3)] == [[], [("x", b"1"), ("y", None)], [("z", b"")]]
    assert records_from_arrow(batch.slice(0, 1), "logs").headers == ()
