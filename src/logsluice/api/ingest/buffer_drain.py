"""Moves buffered events to Kafka, in order, once Kafka answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog
from confluent_kafka import KafkaException

from logsluice.api.background import in_background
from logsluice.api.ingest.breaker import CircuitOpenError
from logsluice.api.ingest.buffer import BufferedEvent, EventBuffer, PostState
from logsluice.api.ingest.idempotency import Claim
from logsluice.api.ingest.intake import Intake
from logsluice.api.ingest.lookup import EventReference, LookupFailedError, marked
from logsluice.api.ingest.producer import Stored
from logsluice.api.ingest.topic_offsets import DeliveryAttempt
from logsluice.api.problems import ProblemError
from logsluice.runtime import metrics

_EVENTS: Final = 2_000
_BYTES: Final = 8_388_608
_AGAIN_SECONDS: Final = 0.5
EXPIRE_SECONDS: Final = 60.0

log = structlog.get_logger(__name__)


@asynccontextmanager
async def draining(intake: Intake) -> AsyncIterator[None]:
    """Empty an intake's buffer for as long as the context lasts."""
    if intake.buffer is None:
        yield
        return
    async with in_background(_drain(intake, intake.buffer)):
        yield


async def _drain(intake: Intake, buffer: EventBuffer) -> None:
    expired_at = time.monotonic()
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(EXPIRE_SECONDS):
                await buffer.filled.wait()
        try:
            if time.monotonic() - expired_at > EXPIRE_SECONDS:
                expired_at = time.monotonic()
                await buffer.expire()
            if not buffer.events:
                continue
            moved = intake.breaker.admits_attempts and await _drain_batch(intake, buffer)
        except Exception as error:
            log.exception("the buffer cannot be emptied now", reason=str(error))
            moved = False
        if not moved:
            await asyncio.sleep(_AGAIN_SECONDS)


async def _drain_batch(intake: Intake, buffer: EventBuffer) -> bool:
    """Take the events that wait longest to Kafka; whether any need not wait any longer."""
    waiting = await buffer.oldest(_EVENTS, _BYTES)
    states = await buffer.states({event.post for event in waiting})
    try:
        if not await _confirmed(intake, buffer, states):
            return True
        attempts = {post: state.attempt for post, state in states.items() if state.attempt is not None}
        found = await intake.finder.find(attempts) if attempts else {}
        attempt = DeliveryAttempt(time.time_ns() // 1_000_000, await intake.positions.refresh())
        await buffer.begin(set(states), attempt)
        missing = [event for event in waiting if (event.post, event.number) not in found]
        records = [marked(event.record, event.post, event.number) for event in missing]
        outcomes = await intake.deliver(records) if records else []
    except (CircuitOpenError, LookupFailedError, KafkaException, ProblemError) as error:
        log.warning("the buffer waits", reason=str(error), events=buffer.events)
        return False
    stored = [
        (event, intake.event_id(at)) for event in waiting if (at := found.get(EventReference(event.post, event.number)))
    ]
    refused: list[tuple[BufferedEvent, str]] = []
    for event, outcome in zip(missing, outcomes, strict=True):
        if isinstance(outcome, Stored):
            stored.append((event, intake.event_id(outcome)))
        elif not outcome.away:
            refused.append((event, outcome.reason))
    await buffer.settle(stored, refused)
    metrics.API_EVENTS.labels("buffer", "stored").inc(len(stored))
    return bool(stored or refused)


async def _confirmed(intake: Intake, buffer: EventBuffer, states: dict[str, PostState]) -> bool:
    """Whether every post is this instance's to store; one whose key went to another attempt is dropped."""
    all_owned = True
    for post, state in states.items():
        if state.confirmed or state.owner is None:
            continue
        if await intake.keys.finish(Claim(post, state.owner), {"ticket": post}):
            await buffer.confirm(post)
        else:
            await buffer.drop(post, state.owner)
            all_owned = False
    return all_owned
