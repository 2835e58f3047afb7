"""Bearer tokens of an OpenID Connect issuer.

Source: RFC 9068 (claims of a JWT access token).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import jwt

from logsluice.api.guard.issuer import IssuerKeys
from logsluice.api.guard.keys import SCOPES, Scope
from logsluice.settings import OidcSettings

_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_LEEWAY_SECONDS: Final = 30
_LONGEST_TOKEN: Final = 16_384


class TokenRejectedError(Exception):
    """A token is none of the issuer's, or not valid any more."""


class Bearer(NamedTuple):
    """Whom a token speaks for: its ``sub``, and its scopes of this API."""

    subject: str
    scopes: tuple[Scope, ...]


class TokenVerifier:
    """Checks tokens against an issuer's published keys."""

    def __init__(self, settings: OidcSettings, keys: IssuerKeys) -> None:
        self._settings = settings
        self._keys = keys

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
        key = await self._keys.find(str(header.get("kid", "")))
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
