import pytest
from hypothesis import given
from hypothesis import strategies as st

from logsluice.jobs.spark.batch_size import BatchMeasurement, next_batch_size


def batches(size: int, events_per_second: float, count: int = 3) -> list[BatchMeasurement]:
    return [BatchMeasurement(size, size / events_per_second)] * count


@pytest.mark.parametrize(
    ("events_per_second", "expected"),
    [
        (5_000, 50_000),  # exactly as wanted
        (9_000, 50_000),  # faster, but within twice
        (3_000, 50_000),  # slower, but within half
        (12_000, 120_000),
        (2_000, 20_000),
        (1_000_000, 200_000),  # at most fourfold at once
        (10, 12_000),  # at most a quarter at once
    ],
)
def test_size_follows_the_speed_outside_of_the_tolerance(events_per_second: float, expected: int) -> None:
    assert next_batch_size(50_000, batches(50_000, events_per_second), 10.0) == expected


def test_fewer_than_three_full_batches_decide_nothing() -> None:
    assert next_batch_size(50_000, batches(50_000, 100_000, count=2), 10.0) == 50_000


def test_batches_that_were_not_full_decide_nothing() -> None:
    assert next_batch_size(50_000, batches(1_000, 100, count=10), 10.0) == 50_000


def test_one_slow_batch_among_three_decides_nothing() -> None:
    measured = [*batches(50_000, 5_000, count=2), BatchMeasurement(50_000, 300.0)]
    assert next_batch_size(50_000, measured, 10.0) == 50_000


@given(speed=st.floats(1, 1e6), start=st.integers(1_000, 1_000_000), target=st.floats(1, 60))
def test_steady_speed_settles(speed: float, start: int, target: float) -> None:
    size = start
    for _ in range(20):
        changed = next_batch_size(size, batches(size, speed), target)
        if changed == size:
            break
        size = changed
    assert next_batch_size(size, batches(size, speed), target) == size
    assert 1_000 <= size <= 5_000_000
