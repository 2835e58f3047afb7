"""The input of extraction: Kafka records as the Arrow columns that every extractor reads."""

from __future__ import annotations

import pyarrow as pa

from logsluice.event.limits import ORIGINAL_LENGTH, ORIGINAL_SHA256
from logsluice.event.records import Records
from logsluice.extract import INPUT_SCHEMA


def extraction_input(records: Records) -> pa.RecordBatch:
    """Records as the columns that an extractor reads; a year that a line lacks is found from Kafka's timestamp."""
    lengths: list[int | None] = [None] * len(records)
    digests: list[str | None] = [None] * len(records)
    for row, headers in enumerate(records.headers):
        for name, content in headers or ():
            if content is None:
                continue
            if name == ORIGINAL_LENGTH and content.isdigit():
                lengths[row] = int(content)
            elif name == ORIGINAL_SHA256:
                digests[row] = content.decode("ascii", "replace")
    return pa.record_batch([records.value, records.timestamp_ms, lengths, digests], schema=INPUT_SCHEMA)
