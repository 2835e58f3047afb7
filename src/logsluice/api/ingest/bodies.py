"""Reads a request's body: decompressed, no larger, no slower and no deeper than it may be."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

import zstandard
from fastapi import Request
from starlette.requests import ClientDisconnect

from logsluice.api.problems import ProblemError, unavailable
from logsluice.runtime import metrics
from logsluice.settings import ApiLimits

JSON: Final = "application/json"
ENCODINGS: Final = ("gzip", "deflate", "zstd")
_PIECE: Final = 65_536
_ZSTD_STEP: Final = 256


class BodyReader:
    """Reads bodies, all of which together take no more memory than is set."""

    def __init__(self, limits: ApiLimits) -> None:
        self._limits = limits
        self._buffered = 0

    @asynccontextmanager
    async def read(self, request: Request, most: int) -> AsyncIterator[bytes]:
        """A request's whole body of at most so many bytes, decompressed; its memory counts until the context is left.

        Raises:
            ProblemError: 400 where it is not compressed as it says, or ends too early; 408 where it comes too slowly;
                413 where it is too large; 415 for an encoding nobody here knows; 503 while other bodies take all
                memory.
        """
        declared = request.headers.get("content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared) > most:
            raise _too_large(most)
        body = bytearray()
        try:
            async for piece in self._pieces(request, most):
                if self._buffered + len(piece) > self._limits.total_body_bytes:
                    metrics.API_REFUSED.labels("memory").inc()
                    raise unavailable("too many bodies at one time", 1)
                self._buffered += len(piece)
                body += piece
            yield bytes(body)
        finally:
            self._buffered -= len(body)

    async def _pieces(self, request: Request, most: int) -> AsyncIterator[bytes]:
        decompress = _decompressor(request)
        received = decoded = 0
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        stream = request.stream().__aiter__()
        while True:
            allowed = self._limits.body_seconds + received / self._limits.body_bytes_per_second
            try:
                async with asyncio.timeout_at(started_at + allowed):
                    piece = await anext(stream)
            except StopAsyncIteration:
                break
            except TimeoutError:
                metrics.API_REFUSED.labels("slow").inc()
                raise ProblemError(
                    HTTPStatus.REQUEST_TIMEOUT, "the body came too slowly", headers={"Connection": "close"}
                ) from None
            except ClientDisconnect:
                raise ProblemError(HTTPStatus.BAD_REQUEST, "the body ended too early") from None
            received += len(piece)
            if received > most:
                raise _too_large(most)
            for part in decompress(piece):
                decoded += len(part)
                if decoded > most:
                    raise _too_large(most)
                yield part
        for part in decompress(b""):
            decoded += len(part)
            yield part


def media_type_of(request: Request, *accepted: str) -> str:
    """What a body says it is, of what its route takes; the first of these where it does not say.

    Raises:
        ProblemError: 415 where it is something else.
    """
    media_type = request.headers.get("content-type", accepted[0]).partition(";")[0].strip().lower()
    if media_type.startswith("application/") and media_type.endswith("+json"):
        media_type = JSON
    if media_type not in accepted:
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"this takes {', '.join(accepted)}; this body says {media_type[:100] or 'nothing'}",
            headers={"Accept-Post": ", ".join(accepted)},
        )
    return media_type


Decompress = Callable[[bytes], Any]
"""Gives what a piece decompresses to, part by part; an empty piece is the end."""


def _decompressor(request: Request) -> Decompress:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return lambda piece: (piece,) if piece else ()
    if encoding in ("gzip", "x-gzip"):
        return _Zlib(16 + zlib.MAX_WBITS)
    if encoding == "deflate":
        return _Zlib(zlib.MAX_WBITS)
    if encoding == "zstd":
        return _Zstd()
    raise ProblemError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        f"bodies may be compressed by {', '.join(ENCODINGS)}; this one says {encoding[:50]}",
        headers={"Accept-Encoding": ", ".join(ENCODINGS)},
    )


class _Zlib:
    """gzip (RFC 1952, also of several members) and deflate (RFC 9110's, which is zlib's)."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._inflate = zlib.decompressobj(bits)

    def __call__(self, piece: bytes) -> Any:
        if not piece:
            if not self._inflate.eof:
                raise _not_compressed("it ends too early")
            return
        while piece:
            if self._inflate.eof:
                self._inflate = zlib.decompressobj(self._bits)
            try:
                part = self._inflate.decompress(piece, _PIECE)
            except zlib.error as error:
                raise _not_compressed(str(error)) from None
            if part:
                yield part
            piece = self._inflate.unconsumed_tail or self._inflate.unused_data


class _Zstd:
    """Zstandard (RFC 8878), also of several frames."""

    def __init__(self) -> None:
        # A window beyond 8 MiB is what a decoder may refuse, says the RFC.
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=8_388_608)
        self._frame = self._decompressor.decompressobj()
        self._started = False

    def __call__(self, piece: bytes) -> Any:
        if not piece:
            if self._started and not self._frame.eof:
                raise _not_compressed("it ends too early")
            return
        # Four bytes may stand for 128 KiB: in small steps, what comes of one is bounded.
        for start in range(0, len(piece), _ZSTD_STEP):
            step = piece[start : start + _ZSTD_STEP]
            while step:
                if self._frame.eof:
                    self._frame = self._decompressor.decompressobj()
                self._started = True
                try:
                    part = self._frame.decompress(step)
                except zstandard.ZstdError as error:
                    raise _not_compressed(str(error)) from None
                if part:
                    yield part
                step = self._frame.unused_data if self._frame.eof else b""


def _not_compressed(reason: str) -> ProblemError:
    return ProblemError(HTTPStatus.BAD_REQUEST, f"the body is not compressed as its Content-Encoding says: {reason}")


def _too_large(most: int) -> ProblemError:
    metrics.API_REFUSED.labels("size").inc()
    return ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"a body may have {most:,} bytes here, decompressed",
        headers={"Connection": "close"},
        limit=most,
    )
