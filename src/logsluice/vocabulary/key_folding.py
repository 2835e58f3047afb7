"""Names of keys as they are compared: whatever their case, their separators and how deep they lie."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_WORDS: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^\W\d_a-zA-Z]+")


def word_set(text: str) -> frozenset[str]:
    """The words of a text, which have blanks between."""
    return frozenset(text.split())


NEUTRAL: Final = word_set(
    "fields data context ctx attributes attrs attr event events eventdata payload record records request req "
    "httprequest http properties props extra extras labels log logs json jsonpayload protopayload params parameters "
    "msg message detail details info meta metadata body account client conn connection session audit access result "
    "args state scope scopes mdc contextmap contexts user resourcelogs scopelogs logrecords instrumentationlibrarylogs "
    "additionaldata additionalfields custom dimensions customdimensions tags values requestcontext requestmetadata "
    "authenticationinfo winlog kv structureddata structured source"
)
"""Objects whose members are the event's own: what is in them says no less than what is beside them."""


@lru_cache(maxsize=65_536)
def fold(name: str) -> str:
    """A name without case and separators: ``X-Real-IP``, ``x_real_ip`` and ``xRealIp`` are one; ``@t`` is not ``t``."""
    return "".join(character for character in name.lower() if character.isalnum() or character == "@")


def words(name: str) -> tuple[str, ...]:
    """The words of a name in lower case: of ``remoteAddr``, ``remote_addr`` and ``remote addr`` the same two."""
    return tuple(word.lower() for word in _WORDS.findall(name))


def suffixes(key: str) -> list[tuple[str, tuple[str, ...]]]:
    """The folded suffixes of a dotted key, longest first, each with the folded names of what it lies in."""
    parts = [fold(part) for part in key.split(".")]
    return [("".join(parts[start:]), tuple(parts[:start])) for start in range(len(parts))]
