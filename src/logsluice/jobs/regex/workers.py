"""The regex job's work in Spark's Python workers: from records to acknowledged documents and dead letters.

The same in every mode, so that every mode gives the same documents. A worker writes what it found by itself;
only small counts go back through the JVM.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
from prometheus_client import REGISTRY

from logsluice.documents.extraction_input import extraction_input
from logsluice.documents.result import CONSUMER, rejected_letter, result_documents
from logsluice.elasticsearch.bulk import BulkWriter
from logsluice.event.records import Records
from logsluice.extract import summarize
from logsluice.jobs.regex.stats import JOB, BatchStats, evenly_sampled
from logsluice.jobs.spark.extractor_spec import ExtractorSpec, extractor
from logsluice.jobs.spark.kafka_records import record_columns, records_from_arrow
from logsluice.jobs.spark.passwords import with_own_passwords, without_passwords
from logsluice.kafka.dead_letters import DeadLetterWriter
from logsluice.runtime.logging import configure_logging
from logsluice.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_STATS_SCHEMA = pa.schema([pa.field("stats", pa.string(), nullable=False)])
_LATENCY_SAMPLES = 500
_PARTS = ("kafka", "elasticsearch")


@dataclass(frozen=True, slots=True)
class RegexTaskSpec:
    """All that a worker has to know.

    Attributes:
        remote: Whether the workers are on other machines: then it is shipped without passwords, and each worker has
            its own.
    """

    settings: Settings
    extractor_spec: ExtractorSpec
    remote: bool = False

    def __reduce__(self) -> tuple[Callable[..., RegexTaskSpec], tuple[Settings, ExtractorSpec, bool]]:
        """What is shipped."""
        settings = without_passwords(self.settings) if self.remote else self.settings
        return _unpacked, (settings, self.extractor_spec, self.remote)


def _unpacked(settings: Settings, extractor_spec: ExtractorSpec, remote: bool) -> RegexTaskSpec:
    """What a worker makes of it."""
    return RegexTaskSpec(with_own_passwords(settings) if remote else settings, extractor_spec, remote)


class _Sinks:
    """The connections of this process."""

    def __init__(self, settings: Settings) -> None:
        configure_logging()
        self.settings = settings
        self.documents = BulkWriter(settings.elasticsearch, job=JOB)
        self.letters = DeadLetterWriter(settings, job=JOB)


_sinks: _Sinks | None = None


def _sinks_of(settings: Settings) -> _Sinks:
    global _sinks
    if _sinks is None or _sinks.settings != settings:
        _sinks = _Sinks(settings)
    return _sinks


def write_records(records: Records, task: RegexTaskSpec) -> BatchStats:
    """Extract from records and write what came of it; back when all of it is acknowledged.

    Raises:
        LogsluiceError: A server refuses the credentials.
    """
    sinks = _sinks_of(task.settings)
    retries = _retries()
    extracted = extractor(task.extractor_spec).extract(extraction_input(records))
    summary = summarize(extracted)
    actions, letters = result_documents(records, extracted, task.extractor_spec.revision, task.settings.results_index)
    outcome = sinks.documents.write(actions)
    if outcome.rejected:
        rows = {str(records.event_id(row)): row for row in range(len(records))}
        letters += [
            rejected_letter(records, rows[rejected.action.id], CONSUMER, rejected.reason)
            for rejected in outcome.rejected
        ]
        summary.reasons["rejected"] += len(outcome.rejected)
    sinks.letters.write(letters)
    now = time.time()
    return BatchStats(
        events=len(records),
        written=outcome.written,
        existing=outcome.existing,
        reasons=dict(summary.reasons),
        datasets=dict(summary.datasets),
        patterns=dict(summary.patterns),
        tags=dict(summary.tags),
        latencies=[max(now - stamp / 1000, 0.0) for stamp in evenly_sampled(records.timestamp_ms, _LATENCY_SAMPLES)],
        retries={part: count - retries[part] for part, count in _retries().items()},
    )


def write_frame(frame: DataFrame, topic: str, task: RegexTaskSpec) -> list[BatchStats]:
    """Write all records of one topic in a frame of Spark's Kafka source, headers included; back when every one is
    acknowledged. The same frame may be written again: it changes nothing.
    """
    stats = record_columns(frame).mapInArrow(partial(_write_batches, task=task, topic=topic), "stats string")
    return [BatchStats.from_json(row.stats) for row in stats.collect()]


def _write_batches(batches: Iterable[pa.RecordBatch], task: RegexTaskSpec, topic: str) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if batch.num_rows:
            stats = write_records(records_from_arrow(batch, topic), task)
            yield pa.record_batch([[stats.to_json()]], schema=_STATS_SCHEMA)


def _retries() -> dict[str, int]:
    values = {part: REGISTRY.get_sample_value("logsluice_retries_total", {"job": JOB, "part": part}) for part in _PARTS}
    return {part: int(value or 0) for part, value in values.items()}
