"""Bodies: decompressed, and bounded in size, time and memory."""

from __future__ import annotations

import asyncio
import gzip
import random
import zlib
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, TypeVar

import pytest
import zstandard
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from logsluice.api.ingest.bodies import BodyReader
from logsluice.api.problems import ProblemError
from logsluice.settings import ApiLimits

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def request(pieces: list[bytes], **headers: str) -> Request:
    waiting = list(pieces)

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": raw}, receive)


async def body_of(reader: BodyReader, request: Request, most: int = 100_000) -> bytes:
    async with reader.read(request, most) as body:
        return body


def cut(content: bytes, seed: int) -> list[bytes]:
    chance = random.Random(seed)
    places = sorted(chance.randrange(len(content) + 1) for _ in range(chance.randrange(5)))
    return [content[begin:end] for begin, end in zip([0, *places], [*places, len(content)], strict=True)]


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
    "identity": bytes,
}


@given(st.binary(max_size=5_000), st.sampled_from(sorted(COMPRESS)), st.integers(0, 99))
def test_a_body_comes_out_as_it_went_in(content: bytes, encoding: str, seed: int) -> None:
    reader = BodyReader(ApiLimits())
    pieces = cut(COMPRESS[encoding](content), seed)
    assert run(body_of(reader, request(pieces, content_encoding=encoding))) == content


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_body_may_have_several_members(encoding: str) -> None:
    content = COMPRESS[encoding](b"a") + COMPRESS[encoding](b"b" * 1_000)
    assert run(body_of(BodyReader(ApiLimits()), request([content], content_encoding=encoding))) == b"a" + b"b" * 1_000


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_what_ends_too_early_is_refused(encoding: str) -> None:
    content = COMPRESS[encoding](bytes(random.Random(1).randbytes(2_000)))
    for end in (1, len(content) // 2, len(content) - 1):
        with pytest.raises(ProblemError) as refused:
            run(body_of(BodyReader(ApiLimits()), request([content[:end]], content_encoding=encoding)))
        assert refused.value.status == HTTPStatus.BAD_REQUEST


@given(st.binary(min_size=1, max_size=200), st.sampled_from(["gzip", "deflate", "zstd"]))
def test_what_is_not_compressed_is_refused_or_read(content: bytes, encoding: str) -> None:
    outcome: ProblemError | bytes
    try:
        outcome = run(body_of(BodyReader(ApiLimits()), request([content], content_encoding=encoding)))
    except ProblemError as problem:
        outcome = problem
    assert isinstance(outcome, bytes) or outcome.status == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("encoding", sorted(COMPRESS))
@given(size=st.integers(100_001, 400_000))
def test_no_more_is_taken_than_may_be(encoding: str, size: int) -> None:
    reader = BodyReader(ApiLimits())
    with pytest.raises(ProblemError) as refused:
        run(body_of(reader, request([COMPRESS[encoding](b"\0" * size)], content_encoding=encoding)))
    assert refused.value.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def test_all_bodies_together_have_a_bound() -> None:
    async def story() -> None:
        reader = BodyReader(ApiLimits(body_bytes=1_000, total_body_bytes=1_500))
        async with reader.read(request([b"x" * 1_000]), 1_000):
            with pytest.raises(ProblemError) as refused:
                await body_of(reader, request([b"x" * 1_000]), 1_000)
            assert refused.value.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert len(await body_of(reader, request([b"x" * 1_000]), 1_000)) == 1_000

    run(story())


def test_a_body_that_comes_too_slowly_is_given_up() -> None:
    reader = BodyReader(ApiLimits(body_seconds=0.05))
    with pytest.raises(ProblemError) as refused:
        run(body_of(reader, request([])))
    assert refused.value.status == HTTPStatus.REQUEST_TIMEOUT
