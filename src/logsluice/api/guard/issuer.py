"""Bearer tokens of an OpenID Connect issuer, checked with its public keys (JWKS), refreshed in the background.

Sources: OpenID Connect Discovery 1.0 (where the keys are), RFC 9068 (claims of a JWT access token).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import httpx
import jwt
import orjson
import structlog

from logsluice.api.background import in_background
from logsluice.api.guard.keys import SCOPES, Scope
from logsluice.settings import OidcSettings

FETCH_SECONDS: Final = 5.0
AGAIN_SECONDS: Final = 10.0
_MOST_BYTES: Final = 1_048_576
_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_LEEWAY_SECONDS: Final = 30
_LONGEST_TOKEN: Final = 16_384

log = structlog.get_logger(__name__)


class IssuerUnavailableError(Exception):
    """The issuer's keys cannot be had."""


class TokenRejectedError(Exception):
    """A token is none of the issuer's, or not valid any more."""


class Bearer(NamedTuple):
    """Whom a token speaks for: its ``sub``, and its scopes of this API."""

    subject: str
    scopes: tuple[Scope, ...]


class TokenIssuer:
    """Checks tokens against the keys that an issuer published last; these hold while it does not answer."""

    def __init__(self, settings: OidcSettings, client: httpx.AsyncClient) -> None:
        self._settings = settings
        self._client = client
        self._keys: dict[str, jwt.PyJWK] = {}
        self._attempt: asyncio.Task[bool] | None = None
        self._attempted_at = float("-inf")

    @asynccontextmanager
    async def refreshing(self) -> AsyncIterator[None]:
        """Fetch the keys now and then until the context is left."""
        try:
            async with in_background(self._refresh_repeatedly()):
                yield
        finally:
            if self._attempt is not None:
                self._attempt.cancel()

    async def verify(self, token: str) -> Bearer:
        """Whom a token speaks for.

        Raises:
            TokenRejectedError: Why it is not accepted.
            IssuerUnavailableError: There are no keys to check it with.
        """
        if len(token) > _LONGEST_TOKEN:
            raise TokenRejectedError("the token is too long")
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise TokenRejectedError("neither an API key nor a JSON Web Token") from None
        key = await self.find(str(header.get("kid", "")))
        if key is None:
            raise TokenRejectedError("the issuer has published no such key")
        try:
            # A key has an algorithm of its own; what the token says of itself chooses nothing.
            claims = jwt.decode(
                token,
                key,
                algorithms=_ALGORITHMS,
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise TokenRejectedError(str(error)) from None
        return Bearer(str(claims["sub"]), self._scopes(claims))

    def _scopes(self, claims: dict[str, Any]) -> tuple[Scope, ...]:
        claimed = claims.get(self._settings.scope_claim, "")
        names = claimed.split() if isinstance(claimed, str) else claimed if isinstance(claimed, list) else []
        prefix = self._settings.scope_prefix
        granted = {str(name).removeprefix(prefix) for name in names if str(name).startswith(prefix)}
        return tuple(scope for scope in SCOPES if scope in granted)

    async def find(self, key_id: str) -> jwt.PyJWK | None:
        """A key; None where the issuer has published no such one.

        Only who names a key that is not known waits for the issuer, and that not longer than one attempt takes.

        Raises:
            IssuerUnavailableError: No keys are known at all.
        """
        # A token may name any key it likes: the issuer is not asked for each.
        if key_id not in self._keys and (self._is_fetching() or time.monotonic() - self._attempted_at > AGAIN_SECONDS):
            await asyncio.shield(self._refreshed())
        if not self._keys:
            raise IssuerUnavailableError("the issuer's keys cannot be had")
        return self._keys.get(key_id)

    async def _refresh_repeatedly(self) -> None:
        while True:
            fresh = await asyncio.shield(self._refreshed())
            await asyncio.sleep(self._settings.jwks_seconds if fresh else AGAIN_SECONDS)

    def _is_fetching(self) -> bool:
        return self._attempt is not None and not self._attempt.done()

    def _refreshed(self) -> asyncio.Task[bool]:
        """An attempt to fetch the keys, one for all who wait for it."""
        if self._attempt is None or self._attempt.done():
            self._attempt = asyncio.create_task(self._refresh())
        return self._attempt

    async def _refresh(self) -> bool:
        self._attempted_at = time.monotonic()
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                document = await self._published()
            self._keys = {key.key_id or "": key for key in jwt.PyJWKSet.from_dict(document).keys}
        except Exception as error:
            # Whatever an issuer may say instead, those keys hold that are known.
            reason = " ".join(str(error).split())[:500] or type(error).__name__
            log.warning("the issuer's keys cannot be had", issuer=self._settings.issuer, reason=reason)
            return False
        return True

    async def _published(self) -> dict[str, Any]:
        url = self._settings.jwks_url
        if url is None:
            issuer = str(self._settings.issuer).rstrip("/")
            configuration = await self._json(f"{issuer}/.well-known/openid-configuration")
            url = str(configuration["jwks_uri"])
        return await self._json(url)

    async def _json(self, url: str) -> dict[str, Any]:
        content = bytearray()
        async with self._client.stream("GET", url, timeout=FETCH_SECONDS, follow_redirects=False) as answer:
            answer.raise_for_status()
            async for piece in answer.aiter_bytes():
                content += piece
                if len(content) > _MOST_BYTES:
                    raise ValueError(f"{url} answers with more than {_MOST_BYTES:,} bytes")
        return dict(orjson.loads(content))
