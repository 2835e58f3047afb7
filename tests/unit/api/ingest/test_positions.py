"""Where the topic ends, while there is no broker to ask."""

from __future__ import annotations

import asyncio

import pytest

from logsluice.api.ingest.topic_offsets import TopicOffsets
from logsluice.settings import load_settings


def test_a_broker_that_is_away_writes_no_lines_of_its_own_into_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    settings = load_settings()
    away = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1"})})

    async def story() -> None:
        async with TopicOffsets.opened(away) as positions:
            await asyncio.sleep(1)
            assert positions.end is None

    asyncio.run(story())
    assert "%3|" not in capfd.readouterr().err
