"""The input of extraction: Kafka records as the Arrow columns that every extractor reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from logsluice.event.limits import ORIGINAL_LENGTH, ORIGINAL_SHA256
from logsluice.event.records import Header, Records
from logsluice.extract import INPUT_SCHEMA


def extraction_input(records: Records) -> pa.RecordBatch:
    """Records as the columns that an extractor reads; a year that a line lacks is found from Kafka's timestamp."""
    headers = {row: headers for row, headers in enumerate(records.headers) if headers}
    return input_columns(records.value, records.timestamp_ms, headers)


def input_columns(
    values: Sequence[bytes | None], timestamps_ms: Sequence[int], headers: Mapping[int, Sequence[Header]]
) -> pa.RecordBatch:
    """Values and their times as the columns that an extractor reads, with what headers tell of those that were cut.

    Args:
        timestamps_ms: From which a year that a line lacks is found, milliseconds since the epoch.
        headers: Of the events that have any, by their places.
    """
    lengths: list[int | None] = [None] * len(values)
    digests: list[str | None] = [None] * len(values)
    for row, entries in headers.items():
        for name, content in entries:
            if content is None:
                continue
            if name == ORIGINAL_LENGTH and content.isdigit():
                lengths[row] = int(content)
            elif name == ORIGINAL_SHA256:
                digests[row] = content.decode("ascii", "replace")
    return pa.record_batch([values, timestamps_ms, lengths, digests], schema=INPUT_SCHEMA)
