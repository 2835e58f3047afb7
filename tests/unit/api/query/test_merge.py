"""Facts of external processors on their way into a result."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from logsluice.api.problems import ProblemError
from logsluice.api.query import merge
from logsluice.api.query.merge import Merger
from logsluice.api.query.repository import EventRepository
from logsluice.api.redis_store import SharedStore
from logsluice.settings import RedisSettings

FACTS = {"labels.country": "DE"}


class OneResult:
    """Elasticsearch with one result, whose writes are conditional as the real one's are."""

    def __init__(self, revision: int, *, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.sequence = 0
        self.extract(revision)

    def extract(self, revision: int) -> None:
        self.version = revision
        self.source: dict[str, Any] = {"logsluice": {"revision": revision}}
        self.sequence += 1

    async def document(self, _index: str, _event_id: str) -> dict[str, Any]:
        found = {
            "_source": self.source,
            "_version": self.version,
            "_seq_no": self.sequence,
            "_primary_term": 1,
        }
        await asyncio.sleep(self.seconds)
        return found

    async def write(self, _index: str, _event_id: str, document: dict[str, Any], **condition: Any) -> bool:
        if "if_seq_no" in condition:
            if condition["if_seq_no"] != self.sequence:
                return False
            self.version += 1
        elif condition["version"] < self.version:
            return False
        self.source = document
        self.sequence += 1
        return True


def merger(result: OneResult) -> Merger:
    return Merger(cast(EventRepository, result), SharedStore(RedisSettings()))


def test_facts_are_merged_into_what_a_newer_revision_found_meanwhile() -> None:
    async def story() -> None:
        result = OneResult(3, seconds=0.05)
        merge = asyncio.create_task(merger(result).merge("i", "e", "geo", FACTS))
        await asyncio.sleep(0.02)
        result.extract(4)
        await merge
        assert result.source["logsluice"] == {"revision": 4, "processors": ["geo"]}
        assert result.source["labels"] == {"country": "DE"}
        assert result.version == 5

    asyncio.run(story())


def test_a_merge_ends_before_its_lock_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert merge.WORK_SECONDS < merge.LOCK_SECONDS
    monkeypatch.setattr(merge, "WORK_SECONDS", 0.05)
    result = OneResult(3, seconds=1.0)
    with pytest.raises(ProblemError) as caught:
        asyncio.run(merger(result).merge("i", "e", "geo", FACTS))
    assert caught.value.status == 503
    assert "labels" not in result.source
