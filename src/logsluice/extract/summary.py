"""Counting what came out of a batch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from logsluice.extract.schema import FOUND, REASON, TAGS


@dataclass(slots=True)
class BatchSummary:
    """How many events there were of what kind."""

    events: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    datasets: Counter[str] = field(default_factory=Counter)
    patterns: Counter[str] = field(default_factory=Counter)
    tags: Counter[str] = field(default_factory=Counter)

    def __iadd__(self, other: Self) -> Self:
        self.events += other.events
        self.reasons += other.reasons
        self.datasets += other.datasets
        self.patterns += other.patterns
        self.tags += other.tags
        return self


def summarize(extracted: pa.RecordBatch) -> BatchSummary:
    """Count an extracted batch."""
    return BatchSummary(
        events=extracted.num_rows,
        reasons=_counts(extracted[REASON]),
        datasets=_counts(extracted["event.dataset"]),
        patterns=_counts(pc.list_flatten(extracted[FOUND])),
        tags=_counts(pc.list_flatten(extracted[TAGS])),
    )


def _counts(column: pa.Array) -> Counter[str]:
    counted = pc.value_counts(column)
    return Counter({entry["values"]: entry["counts"] for entry in counted.to_pylist() if entry["values"] is not None})
