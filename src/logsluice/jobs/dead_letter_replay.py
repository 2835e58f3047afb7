"""Replay of dead letters: reading them, and processing them again with the formats and patterns of now.

A letter that could be written after all is marked in the topic: a record with its key, no value and the header
``logsluice-replayed``. The last record of a key tells how its event stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

import structlog
from elastic_transport import TransportError
from elasticsearch import ApiError
from kafka import errors as kafka_errors

from logsluice.documents.extraction_input import extraction_input
from logsluice.documents.log import log_document, unreadable
from logsluice.documents.result import CONSUMER as REGEX
from logsluice.documents.result import result_documents
from logsluice.elasticsearch.bulk import BulkWriter, IndexAction
from logsluice.elasticsearch.client import no_answer, wait_for_templates
from logsluice.errors import LogsluiceError
from logsluice.event.records import Records, index_name
from logsluice.extract import ColumnarExtractor, Registry
from logsluice.jobs.index import job as index_job
from logsluice.kafka.clients import admin, consumer
from logsluice.kafka.dead_letters import DeadLetter, DeadLetterWriter, from_record, is_replay_mark
from logsluice.kafka.offsets import earliest_offsets, latest_offsets
from logsluice.kafka.topic_reader import ConsumerRecord, read_between
from logsluice.kafka.topics import TopicNotReadyError, describe_topic
from logsluice.settings import Settings

JOB = "dlq"
_BATCH = 1_000

log = structlog.get_logger(__name__)


class StoredLetter(NamedTuple):
    """A dead letter as it lies in the topic.

    Attributes:
        time: When it was written, ISO 8601 in UTC.
        size: Bytes of the event's value; 0 for a tombstone.
    """

    letter: DeadLetter
    time: str
    size: int


class Failure(NamedTuple):
    """A letter that could not be written this time either, and why."""

    letter: DeadLetter
    reason: str


class ReplayOutcome(NamedTuple):
    """What became of the letters."""

    replayed: list[DeadLetter]
    failed: list[Failure]


def read_letters(
    settings: Settings, selected: Callable[[DeadLetter], bool], *, longest: int | None = None
) -> list[StoredLetter]:
    """The dead letters that have not been replayed, oldest first, each event once.

    Args:
        longest: Keep only so many bytes of each value.

    Raises:
        LogsluiceError: Kafka does not answer, or the topic is not there.
    """
    standing: dict[bytes | None, StoredLetter] = {}
    foreign = 0
    for record in _records(settings):
        # Taken out first, so that the last letter of an event is also the last in order.
        standing.pop(record.key, None)
        if is_replay_mark(record.headers):
            continue
        letter = from_record(record.value, record.headers)
        if letter is None:
            foreign += 1
            continue
        if selected(letter):
            time = dict(record.headers)["logsluice-time"].decode()
            size = len(record.value or b"")
            if longest is not None and record.value is not None:
                letter = letter._replace(value=record.value[:longest])
            standing[record.key] = StoredLetter(letter, time, size)
    if foreign:
        log.warning("skipped records that logsluice did not write", records=foreign)
    return list(standing.values())


def replay(settings: Settings, registry: Registry, letters: Sequence[DeadLetter]) -> ReplayOutcome:
    """Write dead letters to where their events belong, under the events' own ids.

    The regex job's are extracted again with the registry as it is now, the index job's go to the logs or the metrics
    index. What fails again keeps its letter; nothing is added to the dead letters but the marks of those that
    succeeded.

    Raises:
        LogsluiceError: Kafka or Elasticsearch does not answer or refuses.
    """
    extractor = ColumnarExtractor(registry, time_zone=settings.time_zone)

    def facts(batch: Sequence[DeadLetter]) -> list[IndexAction | str]:
        records = _as_records(batch)
        extracted = extractor.extract(extraction_input(records))
        actions, unread = result_documents(records, extracted, registry.revision, settings.results_index)
        reasons = {letter.event_id: letter.reason for letter in unread}
        remaining = iter(actions)
        return [reasons.get(letter.event_id) or next(remaining) for letter in batch]

    outcome = ReplayOutcome([], [])
    with (
        closing(BulkWriter(settings.elasticsearch, job=JOB)) as writer,
        closing(DeadLetterWriter(settings, job=JOB)) as marks,
    ):
        _check(writer, settings)
        for name, build in ((REGEX, facts), (index_job.CONSUMER, lambda batch: _raw(batch, settings))):
            chosen = [letter for letter in letters if letter.consumer == name]
            for start in range(0, len(chosen), _BATCH):
                batch = chosen[start : start + _BATCH]
                result = _write(writer, batch, build(batch))
                marks.mark_replayed(result.replayed)
                outcome.replayed.extend(result.replayed)
                outcome.failed.extend(result.failed)
    return outcome


def _write(writer: BulkWriter, letters: Sequence[DeadLetter], planned: Sequence[IndexAction | str]) -> ReplayOutcome:
    """Write what can be written; a text in place of an action is the reason why there is none."""
    sources = [letter for letter, plan in zip(letters, planned, strict=True) if not isinstance(plan, str)]
    failures = [Failure(letter, plan) for letter, plan in zip(letters, planned, strict=True) if isinstance(plan, str)]
    written = writer.write(plan for plan in planned if not isinstance(plan, str))
    refused = {refusal.position: refusal.reason for refusal in written.rejected}
    failures += [Failure(sources[position], reason) for position, reason in refused.items()]
    return ReplayOutcome([letter for position, letter in enumerate(sources) if position not in refused], failures)


def _raw(letters: Sequence[DeadLetter], settings: Settings) -> list[IndexAction | str]:
    planned: list[IndexAction | str] = []
    for letter in letters:
        reason = unreadable(letter.value)
        if reason is not None or letter.value is None:
            planned.append(reason or "tombstone")
            continue
        document = log_document(letter.event_id, letter.key, letter.value)
        alias = settings.metrics_index if document.metric else settings.logs_index
        index = index_name(alias, letter.event_id.timestamp_ms)
        planned.append(IndexAction(index, str(letter.event_id), "create", None, document.body))
    return planned


def _as_records(letters: Sequence[DeadLetter]) -> Records:
    return Records(
        [letter.event_id.topic for letter in letters],
        [letter.event_id.partition for letter in letters],
        [letter.event_id.offset for letter in letters],
        [letter.event_id.timestamp_ms for letter in letters],
        [letter.value for letter in letters],
        [letter.key for letter in letters],
        [letter.headers for letter in letters],
    )


def _check(writer: BulkWriter, settings: Settings) -> None:
    """A person waits: what does not answer now is an error; what goes away later is waited for."""
    server = settings.elasticsearch
    try:
        writer.client.cluster.health()
    except (ApiError, TransportError) as error:
        raise no_answer(error, server.hosts) from None
    templates = [settings.logs_index, settings.metrics_index, settings.results_index]
    wait_for_templates(writer.client, server, templates, job=JOB)


def _records(settings: Settings) -> Iterator[ConsumerRecord]:
    """Everything that is in the topic of dead letters now."""
    name = settings.kafka.dead_letter_topic
    where = f"{settings.kafka.bootstrap_servers}, topic {name}"
    try:
        with (
            closing(admin(settings, job=JOB, wait=False)) as client,
            closing(consumer(settings, job=JOB, wait=False)) as reader,
        ):
            topic = describe_topic(client, name)
            yield from read_between(reader, topic, earliest_offsets(client, topic), latest_offsets(client, topic))
    except TopicNotReadyError as reason:
        raise LogsluiceError("there are no dead letters to read", where=where, why=str(reason)) from None
    except kafka_errors.KafkaError as error:
        raise LogsluiceError("Kafka went away", where=where, why=str(error)) from None
