"""What an engine is, and the two there are."""

from __future__ import annotations

from typing import Literal, Protocol

import pyarrow as pa

from logsluice.extract.columnar import RustExtractor
from logsluice.extract.reference import ReferenceExtractor
from logsluice.extract.registry import Registry

Engine = Literal["rust", "re"]


class Extractor(Protocol):
    """Finds the facts in a batch of lines."""

    schema: pa.Schema

    def extract(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Extract from a batch of :data:`~logsluice.extract.schema.INPUT_SCHEMA`; row by row, in order."""
        ...


def make_extractor(registry: Registry, engine: Engine = "rust", time_zone: str = "UTC") -> Extractor:
    """Make an extractor.

    Args:
        registry: Formats and patterns.
        engine: ``rust`` is one pass over columns in linear time; ``re`` is the plain Python reference. Both
            give the same answers.
        time_zone: IANA zone of timestamps that carry none.
    """
    return (RustExtractor if engine == "rust" else ReferenceExtractor)(registry, time_zone)
