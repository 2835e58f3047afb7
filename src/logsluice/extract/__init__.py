"""From lines to facts: pure functions over Arrow batches, which know nothing of where lines come from or go to."""

from logsluice.extract.columnar import ColumnarExtractor
from logsluice.extract.documents import documents
from logsluice.extract.file_prior import HEAD_LINES, dominant_format, preferring
from logsluice.extract.registry import Registry, load_registry
from logsluice.extract.schema import INPUT_SCHEMA, input_columns
from logsluice.extract.summary import BatchSummary, summarize

__all__ = [
    "HEAD_LINES",
    "INPUT_SCHEMA",
    "BatchSummary",
    "ColumnarExtractor",
    "Registry",
    "documents",
    "dominant_format",
    "input_columns",
    "load_registry",
    "preferring",
    "summarize",
]
