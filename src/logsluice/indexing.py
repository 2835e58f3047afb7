"""The index job: every event, as it came, from Kafka into the logs index. Logstash's part where there is none."""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Event
from typing import NamedTuple

import structlog

from logsluice import metrics
from logsluice.identity import EventId
from logsluice.kafka.reader import ConsumerRecord, TopicReader
from logsluice.log_documents import INVALID_UTF8, log_document, unreadable
from logsluice.records import index_name
from logsluice.settings import Settings
from logsluice.sinks.dead_letters import DeadLetter, DeadLetterWriter
from logsluice.sinks.elasticsearch import BulkWriter, IndexAction, wait_for_templates, wait_until_up
from logsluice.waiting import Stopped

JOB = CONSUMER = "index"
GROUP = "logsluice-index"
DESTINATION = "logs"

log = structlog.get_logger(__name__)


class Plan(NamedTuple):
    """What is to be done with a batch of records.

    Attributes:
        actions: The writes to the logs index.
        sources: The record of each action.
        letters: The dead letters for records with nothing in them.
        invalid: How many records were not valid UTF-8.
    """

    actions: list[IndexAction]
    sources: list[ConsumerRecord]
    letters: list[DeadLetter]
    invalid: int


def plan(records: Sequence[ConsumerRecord], alias: str) -> Plan:
    """Turn records into writes to the logs index; a pure function."""
    planned = Plan([], [], [], 0)
    invalid = 0
    for record in records:
        event_id = EventId(record.topic, record.partition, record.offset, record.timestamp)
        reason = unreadable(record.value)
        if reason is not None:
            planned.letters.append(_letter(record, reason, ""))
            continue
        document, valid = log_document(event_id, record.key, record.value)
        invalid += not valid
        planned.actions.append(
            IndexAction(index_name(alias, record.timestamp), str(event_id), "create", None, document)
        )
        planned.sources.append(record)
    return planned._replace(invalid=invalid)


def run_index_job(settings: Settings, stop: Event) -> None:
    """Index until ``stop`` is set; the batch at hand is finished first.

    Kafka, the topic, Elasticsearch and its templates are waited for, at the start and whenever they are away.

    Raises:
        LogsluiceError: A server refuses the credentials.
    """
    server = settings.elasticsearch
    letters = DeadLetterWriter(settings, job=JOB, stop=stop)
    writer = BulkWriter(server, job=JOB, stop=stop)
    reader: TopicReader | None = None
    try:
        wait_until_up(writer.client, server, job=JOB, stop=stop)
        wait_for_templates(writer.client, server, [settings.logs_index], job=JOB, stop=stop)
        reader = TopicReader(settings, settings.kafka.topic, GROUP, job=JOB, stop=stop)
        while not stop.is_set():
            records = reader.poll()
            if records:
                _index(records, settings.logs_index, writer, letters)
                reader.commit()
    except Stopped:
        log.info("stopped while waiting; what was not acknowledged is read again at the next start")
    finally:
        if reader is not None:
            reader.close()
        letters.close()
        writer.close()


def _index(records: Sequence[ConsumerRecord], alias: str, writer: BulkWriter, letters: DeadLetterWriter) -> None:
    began = time.monotonic()
    metrics.EVENTS_IN.labels(JOB).inc(len(records))
    planned = plan(records, alias)
    outcome = writer.write(planned.actions)
    rejected = [_letter(planned.sources[refusal.position], "rejected", refusal.reason) for refusal in outcome.rejected]
    letters.write(planned.letters + rejected)
    metrics.EVENTS_OUT.labels(JOB, DESTINATION).inc(outcome.written)
    metrics.EVENTS_REPEATED.labels(JOB, DESTINATION).inc(outcome.existing)
    metrics.TAGGED_EVENTS.labels(JOB, INVALID_UTF8).inc(planned.invalid)
    metrics.BATCH_DURATION.labels(JOB).observe(time.monotonic() - began)
    latency = metrics.END_TO_END_LATENCY.labels(JOB)
    now = time.time()
    for record in records:
        latency.observe(max(0.0, now - record.timestamp / 1000))


def _letter(record: ConsumerRecord, reason: str, detail: str) -> DeadLetter:
    event_id = EventId(record.topic, record.partition, record.offset, record.timestamp)
    return DeadLetter(CONSUMER, event_id, reason, detail, record.value, record.key, record.headers)
