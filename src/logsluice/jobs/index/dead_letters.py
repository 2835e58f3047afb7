"""Dead letters, as they can be searched: from their topic into the dead letters index, each once.

The topic stays the truth: it alone holds every byte and says which letters have been replayed. What Elasticsearch
refuses here is therefore logged, counted and left at that; a letter about it would come back as the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from threading import Event
from typing import Any, Final

import orjson
import structlog

from logsluice.elasticsearch.bulk import BulkWriter, IndexAction
from logsluice.elasticsearch.client import wait_for_templates, wait_until_up
from logsluice.event.identity import EventId
from logsluice.event.records import index_name, iso_millis
from logsluice.kafka.dead_letters import DeadLetter, from_record, is_replay_mark
from logsluice.kafka.topic_reader import ConsumerRecord, TopicReader
from logsluice.runtime import metrics
from logsluice.settings import Settings

GROUP: Final = "logsluice-index-dead-letters"
DESTINATION: Final = "dead-letters"
# Letters are as large as events may be: a batch has to fit into memory beside that of the events.
_MAX_RECORDS: Final = 500

log = structlog.get_logger(__name__)


def dead_letter_document(record_id: EventId, letter: DeadLetter) -> bytes:
    """The document of a dead letter, as JSON.

    ``event.*`` is about the event that could not be read or written, ``kafka.*`` and ``@timestamp`` about the
    letter's own record. ``message`` is the event's text, or, where it has none, the reason.
    """
    topic, partition, offset, timestamp_ms = record_id
    appended = iso_millis(timestamp_ms)
    text = (letter.value or b"").decode("utf-8", "replace")
    event = {"id": str(letter.event_id)}
    dead = {"consumer": letter.consumer, "reason": letter.reason}
    if text:
        event["original"] = text
    if letter.detail:
        dead["detail"] = letter.detail
    document: dict[str, Any] = {
        "@timestamp": appended,
        "message": text or letter.reason,
        "event": event,
        "dead_letter": dead,
        "kafka": {"topic": topic, "partition": partition, "offset": offset, "timestamp": appended},
    }
    return orjson.dumps(document)


def plan_letters(records: Sequence[ConsumerRecord], alias: str) -> tuple[list[IndexAction], int]:
    """Turn records of the topic of dead letters into writes, and count those that are no letters of ours; pure.

    Records that mark a letter as replayed are no letters, and not counted.
    """
    actions, foreign = [], 0
    for record in records:
        if is_replay_mark(record.headers):
            continue
        letter = from_record(record.value, record.headers)
        if letter is None:
            foreign += 1
            continue
        record_id = EventId(record.topic, record.partition, record.offset, record.timestamp)
        document = dead_letter_document(record_id, letter)
        actions.append(IndexAction(index_name(alias, record.timestamp), str(record_id), "create", None, document))
    return actions, foreign


def index_dead_letters(settings: Settings, job: str, stop: Event) -> None:
    """Index dead letters until ``stop`` is set; the batch at hand is finished first.

    Kafka, the topic, Elasticsearch and the template are waited for.

    Raises:
        LogsluiceError: A server refuses the credentials.
        StoppedError: ``stop`` was set while something was waited for.
    """
    server, alias = settings.elasticsearch, settings.dead_letters_index
    with closing(BulkWriter(server, job=job, stop=stop)) as writer:
        wait_until_up(writer.client, server, job=job, stop=stop)
        wait_for_templates(writer.client, server, [alias], job=job, stop=stop)
        topic = settings.kafka.dead_letter_topic
        with closing(TopicReader(settings, topic, GROUP, job=job, stop=stop, max_records=_MAX_RECORDS)) as reader:
            for records in reader.batches():
                _index(records, alias, writer, job)


def _index(records: Sequence[ConsumerRecord], alias: str, writer: BulkWriter, job: str) -> None:
    actions, foreign = plan_letters(records, alias)
    if foreign:
        log.warning("skipped records that logsluice did not write", records=foreign)
    outcome = writer.write(actions)
    metrics.EVENTS_OUT.labels(job, DESTINATION).inc(outcome.written)
    metrics.EVENTS_REPEATED.labels(job, DESTINATION).inc(outcome.existing)
    for refusal in outcome.rejected:
        metrics.DROPPED_DOCUMENTS.labels(job, DESTINATION).inc()
        log.error("Elasticsearch refuses a dead letter; it stays in Kafka", id=refusal.action.id, reason=refusal.reason)
