"""The index job: every event, as it came, from Kafka into the logs index, or, where it is a measurement, into
the metrics index; and every dead letter, on a thread of its own, to be searched. Logstash's part where there is none.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from threading import Event
from typing import NamedTuple

from logsluice.documents.log import INVALID_UTF8, log_document, unreadable
from logsluice.elasticsearch.bulk import BulkWriter, IndexAction
from logsluice.elasticsearch.client import wait_for_templates, wait_until_up
from logsluice.event.identity import EventId
from logsluice.event.records import index_name
from logsluice.jobs.index.dead_letters import index_dead_letters
from logsluice.kafka.dead_letters import DeadLetter, DeadLetterWriter
from logsluice.kafka.topic_reader import ConsumerRecord, TopicReader
from logsluice.runtime import metrics
from logsluice.runtime.threads import run_together
from logsluice.settings import Settings

JOB = CONSUMER = "index"
GROUP = "logsluice-index"
DESTINATIONS = ("logs", "metrics")


class IndexPlan(NamedTuple):
    """What is to be done with a batch of records.

    Attributes:
        actions: The writes to each index, as in ``DESTINATIONS``.
        sources: The record of each action.
        letters: The dead letters for records with nothing in them.
        invalid: How many records were not valid UTF-8.
    """

    actions: tuple[list[IndexAction], list[IndexAction]]
    sources: tuple[list[ConsumerRecord], list[ConsumerRecord]]
    letters: list[DeadLetter]
    invalid: int


def plan_events(records: Sequence[ConsumerRecord], settings: Settings) -> IndexPlan:
    """Turn records into writes to the logs index and the metrics index; a pure function."""
    planned = IndexPlan(([], []), ([], []), [], 0)
    aliases = (settings.logs_index, settings.metrics_index)
    invalid = 0
    for record in records:
        event_id = EventId(record.topic, record.partition, record.offset, record.timestamp)
        reason = unreadable(record.value)
        if reason is not None:
            planned.letters.append(_letter(record, reason, ""))
            continue
        document = log_document(event_id, record.key, record.value)
        invalid += not document.valid
        to = int(document.metric)
        index = index_name(aliases[to], record.timestamp)
        planned.actions[to].append(IndexAction(index, str(event_id), "create", None, document.body))
        planned.sources[to].append(record)
    return planned._replace(invalid=invalid)


def run_index_job(settings: Settings, stop: Event) -> None:
    """Index until ``stop`` is set; the batch at hand is finished first.

    Kafka, the topics, Elasticsearch and its templates are waited for, at the start and whenever they are away.
    Dead letters have readers and writers of their own, so that neither holds up the other; an error of either ends
    both, and sets ``stop``.

    Raises:
        LogsluiceError: A server refuses the credentials.
    """
    run_together(
        stop,
        **{
            "events": lambda: _index_events(settings, stop),
            "dead-letters": lambda: index_dead_letters(settings, JOB, stop),
        },
    )


def _index_events(settings: Settings, stop: Event) -> None:
    server = settings.elasticsearch
    with (
        closing(DeadLetterWriter(settings, job=JOB, stop=stop)) as letters,
        closing(BulkWriter(server, job=JOB, stop=stop)) as writer,
    ):
        wait_until_up(writer.client, server, job=JOB, stop=stop)
        wait_for_templates(writer.client, server, [settings.logs_index, settings.metrics_index], job=JOB, stop=stop)
        with closing(TopicReader(settings, settings.kafka.topic, GROUP, job=JOB, stop=stop)) as reader:
            for records in reader.batches():
                _index(records, settings, writer, letters)


def _index(
    records: Sequence[ConsumerRecord], settings: Settings, writer: BulkWriter, letters: DeadLetterWriter
) -> None:
    started_at = time.monotonic()
    metrics.EVENTS_IN.labels(JOB).inc(len(records))
    planned = plan_events(records, settings)
    rejected: list[DeadLetter] = []
    for destination, actions, sources in zip(DESTINATIONS, planned.actions, planned.sources, strict=True):
        outcome = writer.write(actions)
        rejected += [_letter(sources[refusal.position], "rejected", refusal.reason) for refusal in outcome.rejected]
        metrics.EVENTS_OUT.labels(JOB, destination).inc(outcome.written)
        metrics.EVENTS_REPEATED.labels(JOB, destination).inc(outcome.existing)
    letters.write(planned.letters + rejected)
    metrics.TAGGED_EVENTS.labels(JOB, INVALID_UTF8).inc(planned.invalid)
    metrics.BATCH_DURATION.labels(JOB).observe(time.monotonic() - started_at)
    latency = metrics.END_TO_END_LATENCY.labels(JOB)
    now = time.time()
    for record in records:
        latency.observe(max(0.0, now - record.timestamp / 1000))


def _letter(record: ConsumerRecord, reason: str, detail: str) -> DeadLetter:
    event_id = EventId(record.topic, record.partition, record.offset, record.timestamp)
    return DeadLetter(CONSUMER, event_id, reason, detail, record.value, record.key, record.headers)
