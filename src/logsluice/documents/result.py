"""Between Kafka and extraction, and between extraction and the results index: the same in every mode."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from logsluice.elasticsearch.bulk import IndexAction
from logsluice.event.records import Records, index_name
from logsluice.extract import INPUT_SCHEMA, documents
from logsluice.kafka.dead_letters import DeadLetter

CONSUMER = "regex"
_ORIGINAL_LENGTH = "logsluice-original-length"
_ORIGINAL_SHA256 = "logsluice-original-sha256"


def extraction_input(records: Records) -> pa.RecordBatch:
    """The records as an extractor takes them: years that a line lacks are found from Kafka's timestamp."""
    lengths: list[int | None] = [None] * len(records)
    digests: list[str | None] = [None] * len(records)
    for row, headers in enumerate(records.headers):
        for name, content in headers or ():
            if content is None:
                continue
            if name == _ORIGINAL_LENGTH and content.isdigit():
                lengths[row] = int(content)
            elif name == _ORIGINAL_SHA256:
                digests[row] = content.decode("ascii", "replace")
    return pa.record_batch([records.value, records.timestamp_ms, lengths, digests], schema=INPUT_SCHEMA)


def result_documents(
    records: Records, extracted: pa.RecordBatch, revision: int, alias: str
) -> tuple[list[IndexAction], list[DeadLetter]]:
    """The writes to the results index, and the dead letters for what could not be read.

    A document is a function of its record and of the registry alone, so that whoever writes it, whenever,
    writes the same. A newer revision replaces an older one, never the other way round.

    Args:
        records: What was read from Kafka.
        extracted: What an extractor found in them, row by row.
        revision: The registry's revision: the documents' version.
        alias: The results index's alias.
    """
    ids = [
        f"{topic}-{partition}-{offset}-{timestamp}"
        for topic, partition, offset, timestamp in zip(
            records.topic, records.partition, records.offset, records.timestamp_ms, strict=True
        )
    ]
    rendered = documents(
        extracted,
        extra={
            "event.id": ids,
            "kafka.topic": records.topic,
            "kafka.partition": records.partition,
            "kafka.offset": records.offset,
            "kafka.timestamp": pl.Series(records.timestamp_ms, dtype=pl.Datetime("ms")),
            "logsluice.revision": [revision] * len(records),
        },
    )
    actions = [
        IndexAction(index_name(alias, timestamp), event_id, "index", revision, document)
        for timestamp, event_id, document in zip(records.timestamp_ms, ids, rendered, strict=True)
        if document is not None
    ]
    letters = [
        DeadLetter(
            CONSUMER,
            records.event_id(row),
            extracted["reason"][row].as_py(),
            "",
            records.value[row],
            records.key_of(row),
            records.headers_of(row),
        )
        for row, document in enumerate(rendered)
        if document is None
    ]
    return actions, letters


def rejected_letter(records: Records, row: int, consumer: str, detail: str) -> DeadLetter:
    """The dead letter for an event whose document Elasticsearch will never take, in the server's words."""
    return DeadLetter(
        consumer,
        records.event_id(row),
        "rejected",
        detail,
        records.value[row],
        records.key_of(row),
        records.headers_of(row),
    )
