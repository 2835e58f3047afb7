"""An issuer that hangs, drips or lies holds up nobody whose key is known."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from logsluice.api.guard import issuer
from logsluice.api.guard.issuer import IssuerUnavailableError, TokenIssuer, TokenRejectedError
from logsluice.settings import OidcSettings

PRIVATE = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
URL = "https://issuer.example"


def published(*names: str) -> httpx.Response:
    public = RSAAlgorithm.to_jwk(PRIVATE.public_key(), as_dict=True)
    return httpx.Response(200, json={"keys": [{**public, "kid": name, "use": "sig", "alg": "RS256"} for name in names]})


def token(key_id: str) -> str:
    claims = {"iss": URL, "aud": "logsluice", "sub": "ann", "exp": int(time.time()) + 300, "scope": "ingest"}
    return jwt.encode(claims, PRIVATE, "RS256", headers={"kid": key_id})


class Issuer:
    """Answers as it is told to; counts how often it is asked."""

    def __init__(self) -> None:
        self.requests = 0
        self.answers: Callable[[], Awaitable[httpx.Response]] = self.keys
        self.names = ["k1"]

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/.well-known/openid-configuration":
            return httpx.Response(200, json={"jwks_uri": f"{URL}/keys"})
        self.requests += 1
        return await self.answers()

    async def keys(self) -> httpx.Response:
        return published(*self.names)

    async def hangs(self) -> httpx.Response:
        await asyncio.sleep(3_600)
        raise AssertionError

    async def drips(self) -> httpx.Response:
        async def drops() -> AsyncIterator[bytes]:
            while True:
                yield b" "
                await asyncio.sleep(0.01)

        return httpx.Response(200, content=drops())

    async def floods(self) -> httpx.Response:
        async def flood() -> AsyncIterator[bytes]:
            while True:
                yield b" " * 65_536

        return httpx.Response(200, content=flood())


@asynccontextmanager
async def verifying(served: Issuer, **settings: Any) -> AsyncIterator[TokenIssuer]:
    given = OidcSettings(issuer=URL, **settings)
    async with httpx.AsyncClient(transport=httpx.MockTransport(served)) as client:
        keys = TokenIssuer(given, client)
        async with keys.refreshing():
            yield keys


async def _seconds(work: Awaitable[Any]) -> float:
    began = time.monotonic()
    await work
    return time.monotonic() - began


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer, "FETCH_SECONDS", 0.5)
    monkeypatch.setattr(issuer, "AGAIN_SECONDS", 0.1)


@pytest.mark.parametrize("fault", ["hangs", "drips", "floods"])
def test_an_issuer_that_does_not_answer_stalls_nobody_whose_key_is_known(fault: str) -> None:
    async def work() -> None:
        served = Issuer()
        async with verifying(served, jwks_seconds=0.05) as verifier:
            await verifier.verify(token("k1"))
            served.answers = getattr(served, fault)
            before = served.requests
            end = time.monotonic() + 2
            slowest = 0.0
            while time.monotonic() < end:
                slowest = max(slowest, await _seconds(verifier.verify(token("k1"))))
                await asyncio.sleep(0.01)
            assert slowest < 0.25
            assert served.requests > before + 1, "it is asked again and again meanwhile"
            with pytest.raises(TokenRejectedError, match="no such key"):
                await verifier.verify(token("unknown"))

    asyncio.run(work())


def test_keys_that_change_are_taken_and_those_that_are_gone_are_not() -> None:
    async def work() -> None:
        served = Issuer()
        async with verifying(served) as verifier:
            await verifier.verify(token("k1"))
            served.names = ["k2"]
            await asyncio.sleep(0.15)
            assert (await verifier.verify(token("k2"))).subject == "ann"
            with pytest.raises(TokenRejectedError):
                await verifier.verify(token("k1"))

    asyncio.run(work())


def test_many_unknown_keys_are_one_question() -> None:
    async def work() -> None:
        served = Issuer()
        async with verifying(served) as verifier:
            await verifier.verify(token("k1"))
            await asyncio.sleep(0.15)
            before = served.requests
            tokens = [token(f"unknown-{number}") for number in range(50)]
            found = await asyncio.gather(*(verifier.verify(each) for each in tokens), return_exceptions=True)
            assert all(isinstance(each, TokenRejectedError) for each in found)
            assert served.requests == before + 1

    asyncio.run(work())


def test_without_any_key_it_is_said_in_a_bounded_time() -> None:
    async def work() -> None:
        served = Issuer()
        served.answers = served.hangs
        async with verifying(served) as verifier:
            began = time.monotonic()
            with pytest.raises(IssuerUnavailableError):
                await verifier.verify(token("k1"))
            assert time.monotonic() - began < 2

    asyncio.run(work())
