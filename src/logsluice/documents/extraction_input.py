"""The input of extraction: Kafka records as the Arrow columns that every extractor reads."""

from __future__ import annotations

import pyarrow as pa

from logsluice.event.records import Records
from logsluice.extract import input_columns


def extraction_input(records: Records) -> pa.RecordBatch:
    """Records as the columns that an extractor reads; a year that a line lacks is found from Kafka's timestamp."""
    headers = {row: headers for row, headers in enumerate(records.headers) if headers}
    return input_columns(records.value, records.timestamp_ms, headers)
