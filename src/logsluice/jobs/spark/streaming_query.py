"""A streaming query over the topic, kept running: what every job that follows the topic shares.

Spark's checkpoint is the truth about what was read. A batch that was interrupted is read and written again, so
whatever a job writes must be the same when it is written twice.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from enum import Enum, auto
from threading import Event
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import structlog
from kafka import errors as kafka_errors

from logsluice.errors import LogsluiceError
from logsluice.jobs.spark.batch_size import MEASURED_BATCHES, BatchMeasurement
from logsluice.jobs.spark.checkpoints import checkpoint_of, lost_offsets, was_made_again
from logsluice.jobs.spark.failures import describe_error, is_data_loss
from logsluice.jobs.spark.passwords import leave_this_machine
from logsluice.kafka.clients import admin, is_unavailable, retry_kafka
from logsluice.kafka.offsets import commit_offsets, committed_offsets, earliest_offsets
from logsluice.kafka.options import spark_kafka_options
from logsluice.kafka.topics import Topic, TopicNotReadyError, describe_topic, wait_for_topic
from logsluice.runtime import metrics
from logsluice.settings import Settings

if TYPE_CHECKING:
    from kafka import KafkaAdminClient
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming import StreamingQuery, StreamingQueryProgress

_POLL_SECONDS = 0.25
_WATCH_SECONDS = 5.0
_STOP_SECONDS = 10.0
_MOST_FAILURES = 5
_LONGEST_PAUSE = 15.0

T = TypeVar("T")

log = structlog.get_logger(__name__)


class _End(Enum):
    """Why a query ended."""

    CAUGHT_UP = auto()
    ASKED = auto()
    """The process was asked to stop."""
    RESTART = auto()
    """To go on with other options."""
    TOPIC_MADE_AGAIN = auto()
    FAILED = auto()


class _TopicMadeAgainError(Exception):
    """The topic has another id than the one the checkpoint belongs to."""


@dataclass(slots=True)
class Run:
    """One query, from its start to its end."""

    topic: Topic
    size: int
    ignore_loss: bool
    offsets: dict[int, int] = field(default_factory=dict)
    batches: int = 0
    last_batch: int = -1
    measured: deque[BatchMeasurement] = field(default_factory=lambda: deque(maxlen=MEASURED_BATCHES))
    failure: BaseException | None = None


class StreamingQueryJob(ABC):
    """Reads a topic to its end, and on; a job says what becomes of each batch.

    Args:
        checkpoints: The folder of the job's checkpoints, below the place of all of them.
        size: Events of a batch at most.
        trigger_seconds: From the start of a batch to that of the next one; 0 is at once.
        until_caught_up: End when all was read that was there at the start.
        stop: Ends the job; the running batch is finished first where it does not take long.
        reader_options: Further options of Spark's Kafka source.
        log_fields: What else is logged when reading begins.
    """

    job: ClassVar[str]
    """As the metrics name it."""
    group: ClassVar[str]
    """The group that finished batches are committed to, for lag as every Kafka tool shows it."""

    def __init__(
        self,
        spark: SparkSession,
        settings: Settings,
        *,
        checkpoints: str,
        size: int,
        trigger_seconds: float,
        until_caught_up: bool,
        stop: Event,
        reader_options: Mapping[str, str] | None = None,
        log_fields: Mapping[str, object] | None = None,
    ) -> None:
        self.trigger = {"availableNow": True} if until_caught_up else {"processingTime": f"{trigger_seconds} seconds"}
        self._checkpoints = checkpoints
        self._reader_options = reader_options or {}
        self._log_fields = log_fields or {}
        self._spark = spark
        self._settings = settings
        self._size = size
        self._stop = stop

    @abstractmethod
    def write(self, frame: DataFrame, batch: int, run: Run, client: KafkaAdminClient) -> int:
        """Write what came of a batch; back when it is acknowledged. May be called again for the same batch.

        Returns:
            The events of the batch.
        """

    def query(self, stream: DataFrame, run: Run) -> DataFrame:  # noqa: ARG002 - for those who need it
        """What the batches are made of: all that the topic has, where this is not overridden."""
        return stream

    def record_progress(self, progress: StreamingQueryProgress) -> None:  # noqa: B027 - nothing to note is fine
        """Take up what Spark says about a finished batch."""

    def wants_restart(self, run: Run) -> bool:
        """Whether to go on with other options."""
        return run.ignore_loss and run.batches > 0

    def is_done(self) -> bool:
        """Whether there is nothing more to do."""
        return False

    def run(self) -> None:
        """Work until asked to stop, or until caught up; goes on after every fault that passes.

        Raises:
            LogsluiceError: A server refuses the credentials, or the same fault came again and again.
            StoppedError: The process was asked to stop while a server was away.
        """
        with closing(admin(self._settings, job=self.job, stop=self._stop)) as client:
            failures = 0
            known: Topic | None = None
            ignore_loss = False
            while not self._stop.is_set():
                topic = wait_for_topic(
                    self._settings, self._settings.kafka.topic, job=self.job, stop=self._stop, client=client
                )
                ignore_loss = self._look_back(client, topic, known) or (ignore_loss and topic == known)
                known = topic
                run = Run(topic, self._size, ignore_loss)
                end = self._run_query(client, run)
                if end in (_End.CAUGHT_UP, _End.ASKED):
                    return
                ignore_loss = False
                failures = failures + 1 if end is _End.FAILED and not run.batches else 0
                if end is _End.FAILED:
                    ignore_loss = self._after_failure(client, run, failures)

    def _look_back(self, client: KafkaAdminClient, topic: Topic, known: Topic | None) -> bool:
        """Say what happened to the topic since the last time; True where events of it are gone."""
        committed = self._wait_for_kafka(lambda: committed_offsets(client, self.group, topic))
        location = self._settings.checkpoint_location
        if (known and known.id != topic.id) or was_made_again(location, topic, committed, self._checkpoints):
            log.warning(
                "the topic was deleted and made again: starting at its earliest offset",
                topic=topic.name,
                topic_id=topic.id,
            )
            return False
        lost = lost_offsets(self._wait_for_kafka(lambda: earliest_offsets(client, topic)), committed)
        if lost:
            log.error(
                "events were removed by the topic's retention before they were read",
                topic=topic.name,
                events=lost,
                hint="give the topic a longer retention.ms, or run this job with more cores",
            )
        return lost > 0

    def _after_failure(self, client: KafkaAdminClient, run: Run, failures: int) -> bool:
        """Say what failed and wait a little; True where the next run has to put up with lost events.

        Spark's word alone is not enough where the group's commits can tell how many events are gone: they are
        looked at before every start.
        """
        assert run.failure is not None
        reason = describe_error(run.failure)
        if isinstance(run.failure, LogsluiceError):
            raise run.failure
        if failures >= _MOST_FAILURES:
            raise LogsluiceError(f"failed {failures} times in a row", where=f"topic {run.topic.name}", why=reason)
        log.warning("the query failed and is started again", reason=reason)
        self._stop.wait(min(2.0**failures, _LONGEST_PAUSE))
        return is_data_loss(run.failure) and not self._wait_for_kafka(
            lambda: committed_offsets(client, self.group, run.topic)
        )

    def _run_query(self, client: KafkaAdminClient, run: Run) -> _End:
        query = self._start(client, run)
        watched = time.monotonic()
        try:
            while query.isActive:
                self._stop.wait(_POLL_SECONDS)
                self._note_progress(client, query, run)
                if self._stop.is_set():
                    self._let_finish(client, query, run)
                    return _End.ASKED
                if self.is_done():
                    self._let_finish(client, query, run)
                    return _End.CAUGHT_UP
                if self.wants_restart(run):
                    return _End.RESTART
                if time.monotonic() - watched > _WATCH_SECONDS:
                    watched = time.monotonic()
                    if self._was_made_again(client, run.topic):
                        return _End.TOPIC_MADE_AGAIN
            self._note_progress(client, query, run)
            error = query.exception()
            if error is None:
                return _End.CAUGHT_UP
            run.failure = run.failure or error
            made_again = isinstance(run.failure, _TopicMadeAgainError) or self._was_made_again(client, run.topic)
            return _End.TOPIC_MADE_AGAIN if made_again else _End.FAILED
        finally:
            query.stop()

    def _start(self, client: KafkaAdminClient, run: Run) -> StreamingQuery:
        options = spark_kafka_options(self._settings, remote=leave_this_machine(self._spark.sparkContext)) | {
            "subscribe": run.topic.name,
            "startingOffsets": "earliest",
            "failOnDataLoss": str(not run.ignore_loss).lower(),
            "includeHeaders": "true",
            "maxOffsetsPerTrigger": str(run.size),
            "groupIdPrefix": self.group,
            "kafka.max.poll.records": "5000",
        }
        stream = self._spark.readStream.format("kafka").options(**options, **self._reader_options).load()

        def write(frame: DataFrame, batch: int) -> None:
            try:
                # Offsets of a new topic under the old one's checkpoint would be skipped without a word.
                if describe_topic(client, run.topic.name).id != run.topic.id:
                    raise _TopicMadeAgainError
                began = time.monotonic()
                events = self.write(frame, batch, run, client)
                seconds = time.monotonic() - began
                metrics.BATCH_DURATION.labels(self.job).observe(seconds)
                log.debug("batch written", events=events, seconds=round(seconds, 2))
            except BaseException as error:
                run.failure = error
                raise

        log.info(
            "reading",
            topic=run.topic.name,
            topic_id=run.topic.id,
            **self._log_fields,
            events_a_batch=run.size,
        )
        writer = self.query(stream, run).writeStream.foreachBatch(write).trigger(**self.trigger)
        return writer.option("checkpointLocation", self.checkpoint(run)).start()

    def checkpoint(self, run: Run) -> str:
        """Where a run's checkpoint lies."""
        return checkpoint_of(self._settings.checkpoint_location, run.topic, self._checkpoints)

    def _note_progress(self, client: KafkaAdminClient, query: StreamingQuery, run: Run) -> None:
        """Take up what finished since the last look: offsets to commit, lag, speed."""
        ends: dict[int, int] = {}
        for progress in query.recentProgress:
            if progress.batchId <= run.last_batch or not progress.numInputRows:
                continue
            run.last_batch = progress.batchId
            run.batches += 1
            self.record_progress(progress)
            source = _of_topic(progress.sources, run.topic)
            ends = _offsets(source.endOffset, run.topic)
            latest = _offsets(source.latestOffset, run.topic)
            seconds = progress.durationMs.get("triggerExecution", 0) / 1000
            if run.batches > 1:  # the first one after a start is always slow
                run.measured.append(BatchMeasurement(progress.numInputRows, seconds))
            for partition, end in ends.items():
                metrics.CONSUMER_LAG.labels(self.group, run.topic.name, str(partition)).set(
                    max(0, latest.get(partition, end) - end)
                )
        if ends and ends != run.offsets:
            try:
                commit_offsets(client, self.group, run.topic, ends)
                run.offsets = ends
            except kafka_errors.KafkaError as error:
                # The checkpoint is the truth; the next batch's commit makes up for this one.
                log.warning("the offsets of a batch were not committed", reason=str(error))

    def _was_made_again(self, client: KafkaAdminClient, topic: Topic) -> bool:
        """Whether the topic has another id by now; a broker that is away, or no topic, is said elsewhere."""
        try:
            return describe_topic(client, topic.name).id != topic.id
        except TopicNotReadyError as error:
            log.warning("waiting for kafka", where=f"topic {topic.name}", reason=str(error))
        except kafka_errors.KafkaError as error:
            if not is_unavailable(error):
                raise
            log.warning("waiting for kafka", where=self._settings.kafka.bootstrap_servers, reason=str(error))
        return False

    def _wait_for_kafka(self, request: Callable[[], T]) -> T:
        return retry_kafka(request, self._settings, job=self.job, stop=self._stop)

    def _let_finish(self, client: KafkaAdminClient, query: StreamingQuery, run: Run) -> None:
        """Give the batch that is under way a little time; cut short, it is done again at the next start."""
        before = run.batches
        end = time.monotonic() + _STOP_SECONDS
        while query.isActive and query.status["isTriggerActive"] and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)
            self._note_progress(client, query, run)
            if run.batches > before:
                return


def _of_topic(sources: Sequence[Any], topic: Topic) -> Any:
    """The progress of the topic among that of all sources of a query."""
    if len(sources) == 1:
        return sources[0]
    return next(source for source in sources if topic.name in source.description)


def _offsets(text: str | None, topic: Topic) -> dict[int, int]:
    """Offsets as a query's progress tells them; a batch that is done again after a restart has none but
    ``null``."""
    by_topic: dict[str, dict[str, int]] = json.loads(text or "{}") or {}
    return {int(partition): offset for partition, offset in by_topic.get(topic.name, {}).items()}
