"""Authentication, scopes and rate limits of every route."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import httpx
from fastapi import Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.datastructures import Headers

from logsluice.api.guard.issuer import IssuerUnavailableError, TokenIssuer, TokenRejectedError
from logsluice.api.guard.keys import SCOPES, KeyRing, Scope, is_key
from logsluice.api.guard.rate_limit import RateLimiter
from logsluice.api.problems import ProblemError, unavailable
from logsluice.api.redis_store import SharedStore
from logsluice.runtime import metrics
from logsluice.settings import Settings

_REALM: Final = 'Bearer realm="logsluice"'
_AGAIN_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is.

    Attributes:
        id: ``key:<id>``, ``oidc:<subject>``, or ``anonymous`` where nobody has to say who they are.
        scopes: What they may do; ``admin`` may do everything.
    """

    id: str
    scopes: tuple[Scope, ...]

    def may(self, scope: Scope) -> bool:
        """Whether they may do what takes a scope."""
        return scope in self.scopes or "admin" in self.scopes


ANYBODY: Final = Caller("anonymous", SCOPES)


@dataclass(frozen=True)
class Guard:
    """Knows the keys, the tokens and the limits."""

    ring: KeyRing | None
    tokens: TokenIssuer | None
    limiter: RateLimiter

    @classmethod
    @asynccontextmanager
    async def opened(cls, settings: Settings, shared: SharedStore) -> AsyncIterator[Guard]:
        """A guard as the settings have it.

        Raises:
            LogsluiceError: The file of keys is not there, or wrong.
        """
        api = settings.api
        async with AsyncExitStack() as stack:
            tokens = None
            if api.oidc.issuer:
                client = await stack.enter_async_context(httpx.AsyncClient())
                tokens = TokenIssuer(api.oidc, client)
                await stack.enter_async_context(tokens.refreshing())
            yield cls(KeyRing(api.keys_file) if api.keys_file else None, tokens, RateLimiter(api.limits, shared))

    async def admit(self, request: Request, scope: Scope) -> Caller:
        """Let a request in.

        Raises:
            ProblemError: 401, 403, 429, or 503 where tokens cannot be checked.
        """
        try:
            caller = await self._identify(request.headers)
        except ProblemError:
            # Guessing is limited as asking is.
            await self._count(request, _address(request))
            raise
        request.scope["caller"] = caller
        await self._count(request, client_of(request))
        if not caller.may(scope):
            metrics.API_REFUSED.labels("scope").inc()
            raise ProblemError(
                HTTPStatus.FORBIDDEN,
                f"this needs the scope {scope}, which these credentials do not have",
                headers={"WWW-Authenticate": f'{_REALM}, error="insufficient_scope", scope="{scope}"'},
            )
        return caller

    async def still_admits(self, request: Request, scope: Scope) -> bool:
        """Whether a request that was let in, and is answered for a long time, would be let in now."""
        try:
            return (await self._identify(request.headers)).may(scope)
        except ProblemError:
            return False

    async def _identify(self, headers: Headers) -> Caller:
        if self.ring is None and self.tokens is None:
            _refuse_strangers(headers)
            return ANYBODY
        credentials = _credentials(headers)
        if credentials is None:
            raise _unauthorized("say who you are: Authorization: Bearer <API key or token>", "missing", _REALM)
        if self.tokens is None or (self.ring is not None and is_key(credentials)):
            key = self.ring.find(credentials) if self.ring is not None else None
            if key is None:
                raise _unauthorized("there is no such API key, or it has expired", "key")
            return Caller(f"key:{key.id}", key.scopes)
        try:
            bearer = await self.tokens.verify(credentials)
        except TokenRejectedError as error:
            raise _unauthorized(f"the token is refused: {error}", "token") from None
        except IssuerUnavailableError as error:
            raise unavailable(str(error), _AGAIN_SECONDS) from None
        return Caller(f"oidc:{bearer.subject}", bearer.scopes)

    async def _count(self, request: Request, client: str) -> None:
        allowance = await self.limiter.take(client)
        headers = self.limiter.headers(allowance)
        request.scope["response_headers"] = headers
        if allowance.limited:
            metrics.API_REFUSED.labels("rate").inc()
            raise ProblemError(
                HTTPStatus.TOO_MANY_REQUESTS, "too many requests; slow down", retry_after=allowance.retry_seconds
            )


class Requires(SecurityBase):
    """A dependency that lets in who has a scope, and that FastAPI also writes into the OpenAPI document."""

    def __init__(self, scope: Scope) -> None:
        self.model = HTTPBearer(description="An API key, or a token of the configured issuer.")
        self.scheme_name = "bearer"
        self._scope: Scope = scope

    async def __call__(self, request: Request) -> Caller:
        """The caller, admitted by :meth:`Guard.admit`."""
        guard: Guard = request.app.state.resources.guard
        return await guard.admit(request, self._scope)


def _credentials(headers: Headers) -> str | None:
    if key := headers.get("x-api-key"):
        return key.strip()
    kind, _, rest = headers.get("authorization", "").partition(" ")
    return rest.strip() or None if kind.lower() == "bearer" else None


def _refuse_strangers(headers: Headers) -> None:
    """While it runs open, only programs of this machine are answered, and no page from elsewhere in its browser.

    Such a page can post without asking, or reach this address under a name of its own (DNS rebinding).
    """
    host = headers.get("host", "")
    origin = headers.get("origin")
    if not _is_here(f"//{host}") or (origin is not None and urlsplit(origin).netloc != host):
        metrics.API_REFUSED.labels("origin").inc()
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            "without API keys, only this machine's own programs are answered, by a loopback address or localhost",
        )


@lru_cache(maxsize=256)
def _is_here(url: str) -> bool:
    try:
        name = urlsplit(url).hostname or ""
        return name == "localhost" or name.endswith(".localhost") or ip_address(name).is_loopback
    except ValueError:
        return False


def client_of(request: Request) -> str:
    """Whom limits are counted for: the caller of a request that was admitted, or its address where anybody may ask."""
    caller: Caller = request.scope["caller"]
    return caller.id if caller is not ANYBODY else _address(request)


def _address(request: Request) -> str:
    return f"address:{request.client.host if request.client else 'unknown'}"


def _unauthorized(detail: str, reason: str, challenge: str = f'{_REALM}, error="invalid_token"') -> ProblemError:
    metrics.API_REFUSED.labels(reason).inc()
    return ProblemError(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": challenge})
