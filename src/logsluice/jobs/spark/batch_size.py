"""The batch size of the ``optimized`` mode, by measured throughput."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

MEASURED_BATCHES = 3
"""How many of the last batches a decision looks at."""

_FULL = 0.9
_TOLERANCE = 2.0
_LARGEST_STEP = 4.0
_SMALLEST_BATCH = 1_000
_LARGEST_BATCH = 5_000_000


class BatchMeasurement(NamedTuple):
    """A finished batch.

    Attributes:
        seconds: How long it took, planning and bookkeeping included.
    """

    events: int
    seconds: float


def next_batch_size(current: int, measured: Sequence[BatchMeasurement], target_seconds: float) -> int:
    """The events a batch should hold so that it takes about ``target_seconds``.

    Only batches that were full tell anything: a small one was small because there was no more to read, and
    its fixed costs make it look slow. One batch is no measure, because the first one after a start is always
    slow; the decision is the median speed of the last :data:`MEASURED_BATCHES`. Changing the size costs a
    restart of the query, so anything within half and twice the target stays as it is (hysteresis), and one
    step changes the size at most fourfold.

    Args:
        measured: Batches since the size was last changed, oldest first.
    """
    full = [batch for batch in measured if batch.events >= _FULL * current and batch.seconds > 0]
    last = full[-MEASURED_BATCHES:]
    if len(last) < MEASURED_BATCHES:
        return current
    ideal = median(batch.events / batch.seconds for batch in last) * target_seconds
    factor = ideal / current
    if 1 / _TOLERANCE <= factor <= _TOLERANCE:
        return current
    step = min(max(factor, 1 / _LARGEST_STEP), _LARGEST_STEP)
    return min(max(_rounded(current * step), _SMALLEST_BATCH), _LARGEST_BATCH)


def _rounded(value: float) -> int:
    """Two significant digits, which is all that the measure is worth."""
    return int(float(f"{value:.1e}"))
