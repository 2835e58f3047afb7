"""From lines to facts: pure functions over Arrow batches, which know nothing of where lines come from or go to."""

from logsluice.extract.columnar import ColumnarExtractor
from logsluice.extract.documents import documents
from logsluice.extract.registry import Registry, load_registry
from logsluice.extract.schema import INPUT_SCHEMA
from logsluice.extract.summary import BatchSummary, summarize

__all__ = [
    "INPUT_SCHEMA",
    "BatchSummary",
    "ColumnarExtractor",
    "Registry",
    "documents",
    "load_registry",
    "summarize",
]
