"""The specification of an extractor, as it is shipped to Spark's workers, and the extractor a worker makes of it."""

from __future__ import annotations

import gc
import pickle
from dataclasses import dataclass
from functools import lru_cache

from logsluice.extract import ColumnarExtractor, Registry, preferring


@dataclass(frozen=True, slots=True)
class ExtractorSpec:
    """How to make an extractor; small, hashable and the same on every worker.

    Attributes:
        registry: The pickled registry.
        time_zone: IANA zone of timestamps that carry none.
    """

    registry: bytes
    revision: int
    time_zone: str

    @classmethod
    def of(cls, registry: Registry, time_zone: str) -> ExtractorSpec:
        """Pack a registry."""
        return cls(pickle.dumps(registry), registry.revision, time_zone)


@lru_cache(maxsize=4)
def extractor_preferring(extractor_spec: ExtractorSpec, name: str | None) -> ColumnarExtractor:
    """The extractor for a file most of whose lines have a format."""
    if name is None:
        return extractor(extractor_spec)
    registry = preferring(pickle.loads(extractor_spec.registry), name)  # noqa: S301
    return ColumnarExtractor(registry, extractor_spec.time_zone)


@lru_cache(maxsize=1)
def extractor(extractor_spec: ExtractorSpec) -> ColumnarExtractor:
    """The extractor of this process; compiled for its first batch and kept for the others."""
    made = ColumnarExtractor(pickle.loads(extractor_spec.registry), extractor_spec.time_zone)  # noqa: S301
    # A batch makes tens of thousands of small objects and no cycles; looking for some after every 700 objects
    # costs 40% of the time in which documents are made. Spark's worker collects after each task anyway.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1_000)
    return made
