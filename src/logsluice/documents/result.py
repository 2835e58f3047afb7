"""The documents of the results index, made from what was extracted, and the dead letters for what was not."""

from __future__ import annotations

import pyarrow as pa

from logsluice.elasticsearch.bulk import IndexAction
from logsluice.event.records import Records, index_name
from logsluice.extract import documents
from logsluice.kafka.dead_letters import DeadLetter

CONSUMER = "regex"


def result_documents(
    records: Records, extracted: pa.RecordBatch, revision: int, alias: str
) -> tuple[list[IndexAction], list[DeadLetter]]:
    """The writes to the results index, and the dead letters for what could not be read.

    A document is a function of its record and of the registry alone, so that whoever writes it, whenever,
    writes the same. A newer revision replaces an older one, never the other way round.

    Args:
        revision: The registry's revision: the documents' version.
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
            "kafka.timestamp": pa.array(records.timestamp_ms, pa.timestamp("ms")),
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
