"""Bearer tokens of an OpenID Connect issuer.

Sources: RFC 9068 (claims of a JWT access token), OpenID Connect Discovery 1.0 (where the keys are).
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final, NamedTuple

import httpx
import jwt
import structlog

from logsluice.api.guard.keys import SCOPES, Scope
from logsluice.settings import OidcSettings

_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_LEEWAY_SECONDS: Final = 30
_FETCH_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 10.0
_LONGEST_TOKEN: Final = 16_384

log = structlog.get_logger(__name__)


class TokenRefused(Exception):  # noqa: N818 - told to the client as why
    """A token is none of the issuer's, or not valid any more."""


class IssuerAway(Exception):  # noqa: N818 - a state
    """The issuer's keys cannot be had."""


class Bearer(NamedTuple):
    """Whom a token speaks for.

    Attributes:
        subject: The token's ``sub``.
        scopes: Those of this API.
    """

    subject: str
    scopes: tuple[Scope, ...]


class TokenVerifier:
    """Checks tokens against an issuer's published keys, which are fetched now and then, never once a request.

    Args:
        settings: Of the issuer.
        client: Fetches the keys.
    """

    def __init__(self, settings: OidcSettings, client: httpx.AsyncClient) -> None:
        self._settings = settings
        self._client = client
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    async def verify(self, token: str) -> Bearer:
        """Whom a token speaks for.

        Raises:
            TokenRefused: Why it is not accepted.
            IssuerAway: There are no keys to check it with.
        """
        if len(token) > _LONGEST_TOKEN:
            raise TokenRefused("the token is too long")
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise TokenRefused("neither an API key nor a JSON Web Token") from None
        key = await self._key(str(header.get("kid", "")))
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
            raise TokenRefused(str(error)) from None
        return Bearer(str(claims["sub"]), self._scopes(claims))

    def _scopes(self, claims: dict[str, Any]) -> tuple[Scope, ...]:
        claimed = claims.get(self._settings.scope_claim, "")
        names = claimed.split() if isinstance(claimed, str) else claimed if isinstance(claimed, list) else []
        prefix = self._settings.scope_prefix
        granted = {str(name).removeprefix(prefix) for name in names if str(name).startswith(prefix)}
        return tuple(scope for scope in SCOPES if scope in granted)

    async def _key(self, kid: str) -> jwt.PyJWK:
        if kid not in self._keys or time.monotonic() - self._fetched_at > self._settings.jwks_seconds:
            async with self._lock:
                await self._fetch(kid)
        key = self._keys.get(kid)
        if key is None:
            raise TokenRefused("the issuer has published no such key")
        return key

    async def _fetch(self, kid: str) -> None:
        now = time.monotonic()
        fresh = now - self._fetched_at <= self._settings.jwks_seconds
        # A token may name any key it likes: the issuer is not asked for each.
        if (kid in self._keys and fresh) or now - self._tried_at < _AGAIN_SECONDS:
            if not self._keys:
                raise IssuerAway("the issuer's keys cannot be had")
            return
        self._tried_at = now
        try:
            document = await self._published()
            keys = {key.key_id or "": key for key in jwt.PyJWKSet.from_dict(document).keys}
        except (httpx.HTTPError, jwt.PyJWTError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("the issuer's keys cannot be had", issuer=self._settings.issuer, reason=str(error))
            if not self._keys:
                raise IssuerAway("the issuer's keys cannot be had") from error
            return
        self._keys, self._fetched_at = keys, now

    async def _published(self) -> dict[str, Any]:
        url = self._settings.jwks_url
        if url is None:
            issuer = str(self._settings.issuer).rstrip("/")
            configuration = await self._json(f"{issuer}/.well-known/openid-configuration")
            url = str(configuration["jwks_uri"])
        return await self._json(url)

    async def _json(self, url: str) -> dict[str, Any]:
        answer = await self._client.get(url, timeout=_FETCH_SECONDS, follow_redirects=False)
        answer.raise_for_status()
        return dict(answer.json())
