"""Delivers posted events to Kafka, or to the buffer while Kafka is unavailable."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import structlog
from confluent_kafka import KafkaException
from pydantic import BaseModel

from logsluice.api.ingest.bodies import BodyReader
from logsluice.api.ingest.breaker import BackendUnavailableError, Breaker, CircuitOpenError
from logsluice.api.ingest.buffer import BufferFullError, EventBuffer, PostPendingError, PostState
from logsluice.api.ingest.events import Posted, RejectedEvent
from logsluice.api.ingest.idempotency import Claim, IdempotencyKeys, RecordedResponse
from logsluice.api.ingest.lookup import LookupFailedError, StoredEventFinder, marked
from logsluice.api.ingest.producer import EventProducer, Outcome, Record, Stored, Undelivered
from logsluice.api.ingest.topic_offsets import DeliveryAttempt, EndOffsets, TopicOffsets
from logsluice.api.problems import ProblemError, unavailable
from logsluice.api.redis_store import SharedStore
from logsluice.event.identity import EventId
from logsluice.runtime import metrics
from logsluice.settings import Settings

_LEASE_MARGIN_SECONDS: Final = 5.0

# From the beginning of whatever topic there is.
_NOWHERE: Final = EndOffsets("", {})

log = structlog.get_logger(__name__)


class ItemResult(BaseModel):
    """What became of an event of a batch.

    Attributes:
        status: The HTTP status it would have alone.
        id: Where it is stored.
        detail: What is wrong.
        pointer: Where in the event, as a JSON pointer.
    """

    status: int
    id: str | None = None
    detail: str | None = None
    pointer: str | None = None


class Receipt(NamedTuple):
    """What became of a post.

    Attributes:
        results: One for each event, in order; empty where the buffer has them.
        ticket: The id of the ticket of events in the buffer.
        replayed: Whether this was answered to an earlier post with the same idempotency key.
    """

    results: list[ItemResult]
    ticket: str | None = None
    replayed: bool = False


class KeyedPost(NamedTuple):
    """The id of a post with an idempotency key, and the hash of its content."""

    post: str
    fingerprint: str


@dataclass(slots=True)
class _ClaimedPost:
    """A post whose idempotency key is this request's to work on, and how far it has come.

    Attributes:
        records: The events that can be stored, by their numbers.
        end: Where the topic ends; None while Kafka is away.
        found: What an earlier attempt stored.
        outcomes: What became of those that were handed over now.
    """

    posted: Sequence[Posted]
    records: dict[int, Record]
    claim: Claim
    end: EndOffsets | None
    found: dict[int, Outcome] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    @property
    def start(self) -> EndOffsets:
        """Where the topic ended before the first attempt."""
        return self.claim.again.end if self.claim.again else self.end or _NOWHERE

    @property
    def sent(self) -> bool:
        """Whether Kafka may have something of this attempt."""
        return any(isinstance(outcome, Stored) or outcome.sent for outcome in self.outcomes.values())


class Intake:
    """Stores events, and answers for each; without a buffer, those that Kafka does not take are refused."""

    def __init__(
        self,
        settings: Settings,
        producer: EventProducer,
        positions: TopicOffsets,
        shared: SharedStore,
        buffer: EventBuffer | None,
    ) -> None:
        api = settings.api
        lease_seconds = api.delivery_seconds + _LEASE_MARGIN_SECONDS
        self.bodies = BodyReader(api.limits)
        self.buffer = buffer
        self.breaker = Breaker("kafka", api.breaker_failures, api.breaker_seconds)
        self.keys = IdempotencyKeys(shared, api.idempotency_seconds, lease_seconds)
        self._settings = settings
        self._producer = producer
        self.positions = positions
        self.finder = StoredEventFinder(settings, positions, lease_seconds)

    @classmethod
    @asynccontextmanager
    async def opened(cls, settings: Settings, shared: SharedStore) -> AsyncIterator[Intake]:
        """Everything opened; Kafka may come later.

        Raises:
            LogsluiceError: A setting is wrong.
        """
        directory = settings.api.buffer.directory
        async with AsyncExitStack() as stack:
            producer = await stack.enter_async_context(EventProducer.opened(settings))
            positions = await stack.enter_async_context(TopicOffsets.opened(settings))
            buffer = None
            if directory is not None:
                buffer = await stack.enter_async_context(EventBuffer.opened(settings.api.buffer, directory))
            intake = cls(settings, producer, positions, shared, buffer)
            stack.push_async_callback(intake.finder.close)
            yield intake

    async def post(self, posted: Sequence[Posted], kind: str, keyed: KeyedPost | None = None) -> Receipt:
        """Store what was posted ``kind``, a way that the metrics name, and give the outcome of each event.

        Raises:
            ProblemError: 409 or 422 for the key, 503 where nothing can be stored now, 507 where the buffer is full.
        """
        records = {number: event for number, event in enumerate(posted) if isinstance(event, Record)}
        if not records:
            receipt = Receipt([_refused(event) for event in posted if isinstance(event, RejectedEvent)])
        elif keyed is not None:
            receipt = await self._keyed(posted, records, keyed)
        else:
            receipt = await self._unkeyed(posted, records)
        _count(receipt, posted, kind)
        return receipt

    async def deliver(self, records: Sequence[Record]) -> list[Outcome]:
        """Hand records to Kafka and wait for its answer to each.

        Raises:
            CircuitOpenError: Kafka counts as away; nothing was handed over.
        """
        started_at = time.perf_counter()
        outcomes: list[Outcome] = []
        try:
            async with self.breaker.attempt():
                outcomes = await self._producer.send(records)
                if any(isinstance(outcome, Undelivered) and outcome.away for outcome in outcomes):
                    raise BackendUnavailableError
        except BackendUnavailableError:
            pass
        metrics.API_DELIVERY_DURATION.observe(time.perf_counter() - started_at)
        return outcomes

    def event_id(self, stored: Stored) -> str:
        """The id of an event that is stored."""
        return str(EventId(self._settings.kafka.topic, *stored))

    async def _unkeyed(self, posted: Sequence[Posted], records: dict[int, Record]) -> Receipt:
        if self.buffer is None:
            try:
                outcomes = await self.deliver(list(records.values()))
            except CircuitOpenError as error:
                raise _away(error.retry_seconds) from None
            return Receipt(self._results(posted, dict(zip(records, outcomes, strict=True))))
        post = uuid.uuid4().hex
        if self.buffer.events:
            # What came earlier is stored earlier.
            return await self._buffered(posted, post, records, PostState(None, True, None))
        try:
            end = await self.positions.recent_end()
            outcomes = await self.deliver([marked(record, post, number) for number, record in records.items()])
        except (CircuitOpenError, KafkaException):
            return await self._buffered(posted, post, records, PostState(None, True, None))
        if not _can_wait(posted) or not any(_may_wait(outcome) for outcome in outcomes):
            return Receipt(self._results(posted, dict(zip(records, outcomes, strict=True))))
        state = PostState(None, True, DeliveryAttempt(_now_ms(), end))
        return await self._buffered(posted, post, records, state)

    async def _keyed(self, posted: Sequence[Posted], records: dict[int, Record], keyed: KeyedPost) -> Receipt:
        end = None
        # What is known of a key can be answered while Kafka is away, and the buffer takes what is new.
        with suppress(KafkaException):
            end = await self.positions.recent_end()
        claim = await self.keys.claim(keyed.post, keyed.fingerprint, end or _NOWHERE)
        if isinstance(claim, RecordedResponse):
            return _replayed(claim.answer)
        post = _ClaimedPost(posted, records, claim, end)
        try:
            return await self._claimed(post)
        except ProblemError:
            await self.keys.give_up(claim, nothing_sent=not post.sent)
            raise

    async def _claimed(self, post: _ClaimedPost) -> Receipt:
        claim = post.claim
        if post.claim.again and self.buffer is not None and await self.buffer.adopt(claim.post, claim.owner):
            return await self._ticketed(claim)
        try:
            post.found = await self._stored_before(post)
            post.outcomes = await self._deliver_missing(post)
        except CircuitOpenError as error:
            if self.buffer is None:
                raise _away(error.retry_seconds) from None
            return await self._wait_for_kafka(post, post.claim.again)
        if self.buffer is not None and _can_wait(post.posted) and any(map(_may_wait, post.outcomes.values())):
            return await self._wait_for_kafka(post, DeliveryAttempt(_now_ms(), post.start))
        results = self._results(post.posted, {**post.found, **post.outcomes})
        if any(result.status == HTTPStatus.SERVICE_UNAVAILABLE for result in results):
            await self.keys.give_up(claim, nothing_sent=not post.sent)
        else:
            # What is stored is stored; where Redis is away by now, the topic remembers the key.
            try:
                await self.keys.finish(claim, {"results": [[*result.model_dump().values()] for result in results]})
            except ProblemError:
                metrics.API_KEYED_POSTS.labels("unremembered").inc()
        return Receipt(results)

    async def _stored_before(self, post: _ClaimedPost) -> dict[int, Outcome]:
        """What an earlier attempt stored of a post.

        Raises:
            CircuitOpenError: Kafka counts as away.
        """
        if post.end is None or (post.claim.again is not None and not self.breaker.admits_attempts):
            raise CircuitOpenError("kafka", self._settings.api.breaker_seconds)
        if post.claim.again is None:
            return {}
        try:
            found = await self.finder.find({post.claim.post: post.claim.again})
        except LookupFailedError as error:
            raise unavailable(
                f"whether this post was stored before cannot be told now: {error}", self._settings.api.breaker_seconds
            ) from None
        await self.keys.renew(post.claim)
        return {place.number: stored for place, stored in found.items()}

    async def _deliver_missing(self, post: _ClaimedPost) -> dict[int, Outcome]:
        """Hand over what the topic has not.

        Raises:
            CircuitOpenError: Kafka counts as away, or earlier events wait for it; nothing was handed over.
        """
        if self.buffer is not None and self.buffer.events:
            raise CircuitOpenError("kafka", self._settings.api.breaker_seconds)
        missing = {number: record for number, record in post.records.items() if number not in post.found}
        records = [marked(record, post.claim.post, number) for number, record in missing.items()]
        outcomes = await self.deliver(records) if records else []
        return dict(zip(missing, outcomes, strict=True))

    async def _wait_for_kafka(self, post: _ClaimedPost, attempt: DeliveryAttempt | None) -> Receipt:
        await self._buffered(post.posted, post.claim.post, post.records, PostState(post.claim.owner, False, attempt))
        return await self._ticketed(post.claim)

    async def _ticketed(self, claim: Claim) -> Receipt:
        """The events are in the buffer: the key has the ticket before the client does."""
        assert self.buffer is not None
        if not await self.keys.finish(claim, {"ticket": claim.post}):
            raise ProblemError(HTTPStatus.CONFLICT, "another attempt has this Idempotency-Key by now", retry_after=1)
        await self.buffer.confirm(claim.post)
        return Receipt([], claim.post)

    async def _buffered(
        self, posted: Sequence[Posted], post: str, records: dict[int, Record], state: PostState
    ) -> Receipt:
        assert self.buffer is not None
        again = self._settings.api.breaker_seconds
        if not _can_wait(posted):
            refused = next(event for event in posted if isinstance(event, RejectedEvent))
            # The others of its events may come again: a client that gets an error of theirs gives all of them up.
            reason = f"Kafka does not answer, and only posts without errors can wait for it: {refused.detail}"
            raise unavailable(reason, again)
        try:
            await self.buffer.put(post, list(records.items()), state)
        except BufferFullError:
            reason = "Kafka is away, and as many events wait for it as may"
            raise ProblemError(HTTPStatus.INSUFFICIENT_STORAGE, reason, retry_after=again) from None
        except PostPendingError:
            reason = "an earlier post with this Idempotency-Key, which was forgotten since, still waits for Kafka"
            raise ProblemError(HTTPStatus.CONFLICT, reason, retry_after=again) from None
        except sqlite3.Error as error:
            log.error("the buffer cannot be written", reason=str(error))
            raise _away(again) from None
        return Receipt([], post)

    def _results(self, posted: Sequence[Posted], outcomes: Mapping[int, Outcome]) -> list[ItemResult]:
        return [
            _refused(event) if isinstance(event, RejectedEvent) else self._result(outcomes[number])
            for number, event in enumerate(posted)
        ]

    def _result(self, outcome: Outcome) -> ItemResult:
        if isinstance(outcome, Stored):
            return ItemResult(status=HTTPStatus.CREATED, id=self.event_id(outcome))
        if not outcome.away:
            return ItemResult(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail=outcome.reason)
        doubt = "; it may be stored all the same" if outcome.sent else ""
        detail = f"Kafka did not acknowledge it: {outcome.reason}{doubt}"
        return ItemResult(status=HTTPStatus.SERVICE_UNAVAILABLE, detail=detail)


def _can_wait(posted: Sequence[Posted]) -> bool:
    """A ticket is for all of a post; errors of single events are answered at once."""
    return all(isinstance(event, Record) for event in posted)


def _may_wait(outcome: Outcome) -> bool:
    return isinstance(outcome, Undelivered) and outcome.away


def _refused(event: RejectedEvent) -> ItemResult:
    return ItemResult(status=event.status, detail=event.detail, pointer=event.pointer)


def _replayed(answer: dict[str, Any]) -> Receipt:
    names = ItemResult.model_fields
    results = [ItemResult(**dict(zip(names, values, strict=True))) for values in answer.get("results", ())]
    return Receipt(results, answer.get("ticket"), replayed=True)


def _away(retry_seconds: float) -> ProblemError:
    return unavailable("Kafka does not answer; nothing was stored", retry_seconds)


def _count(receipt: Receipt, posted: Sequence[Posted], kind: str) -> None:
    if receipt.replayed:
        return
    if receipt.ticket is not None:
        metrics.API_EVENTS.labels(kind, "buffered").inc(len(posted))
        return
    stored = sum(
        len(event.value)
        for event, result in zip(posted, receipt.results, strict=True)
        if result.id is not None and isinstance(event, Record)
    )
    counts = {"stored": 0, "refused": 0, "failed": 0}
    for result in receipt.results:
        counts["stored" if result.id else "failed" if result.status >= 500 else "refused"] += 1
    for outcome, count in counts.items():
        if count:
            metrics.API_EVENTS.labels(kind, outcome).inc(count)
    metrics.API_EVENT_BYTES.labels(kind).inc(stored)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
