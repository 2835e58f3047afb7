"""Finds out for many posts with one read which of their events the topic has."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, NamedTuple

from confluent_kafka import KafkaException

from logsluice.api.ingest.lookup import EventReference, LookupFailedError, find_posted
from logsluice.api.ingest.producer import Stored
from logsluice.api.ingest.topic_offsets import DeliveryAttempt, TopicOffsets
from logsluice.settings import Settings

_LOOKUP_SECONDS: Final = 15.0
# Clocks of the broker and of those who look at theirs may be apart by so much.
_CLOCKS_APART_MS: Final = 60_000


class _Question(NamedTuple):
    attempts: Mapping[str, DeliveryAttempt]
    answer: asyncio.Future[dict[EventReference, Stored]]


class StoredEventFinder:
    """Reads the topic once for all who ask meanwhile: after a broker was away, hundreds do.

    Args:
        settings: Where the broker is.
        positions: Knows which topic it is.
        written_seconds: How long after an attempt its events may still be stored.
    """

    def __init__(self, settings: Settings, positions: TopicOffsets, written_seconds: float) -> None:
        self._settings = settings
        self._positions = positions
        self._written_ms = round(written_seconds * 1_000) + _CLOCKS_APART_MS
        self._questions: list[_Question] = []
        self._looking: asyncio.Task[None] | None = None

    async def find(self, attempts: Mapping[str, DeliveryAttempt]) -> dict[EventReference, Stored]:
        """What of posts that were handed over before is in the topic.

        Args:
            attempts: By the post's id.

        Raises:
            LookupFailedError: The topic cannot be looked at now.
        """
        question = _Question(attempts, asyncio.get_running_loop().create_future())
        self._questions.append(question)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return await question.answer

    async def close(self) -> None:
        """Stop looking."""
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking

    async def _look(self) -> None:
        while self._questions:
            questions, self._questions = self._questions, []
            attempts = {post: attempt for question in questions for post, attempt in question.attempts.items()}
            try:
                found = await self._found(attempts)
            except Exception as error:
                # Whatever it is, those who wait are told.
                for question in questions:
                    _answer(question, error)
            else:
                for question in questions:
                    _answer(question, {place: at for place, at in found.items() if place.post in question.attempts})

    async def _found(self, attempts: Mapping[str, DeliveryAttempt]) -> dict[EventReference, Stored]:
        try:
            current = await self._positions.refresh()
        except KafkaException as error:
            raise LookupFailedError(error.args[0].str()) from None
        same = all(attempt.end.topic_id == current.topic_id for attempt in attempts.values())
        starts = {
            number: min(attempt.end.offsets.get(number, 0) for attempt in attempts.values()) if same else 0
            for number in current.offsets
        }
        until_ms = max(attempt.sent_ms for attempt in attempts.values()) + self._written_ms
        return await asyncio.to_thread(find_posted, self._settings, attempts.keys(), starts, until_ms, _LOOKUP_SECONDS)


def _answer(question: _Question, answer: dict[EventReference, Stored] | Exception) -> None:
    if question.answer.done():
        return
    if isinstance(answer, Exception):
        question.answer.set_exception(answer)
    else:
        question.answer.set_result(answer)
