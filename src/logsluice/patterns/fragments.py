"""Named pieces that the regular expressions of patterns are built from, written ``%{name}``."""

from __future__ import annotations

import re
from typing import Final

from logsluice.event.methods import METHODS
from logsluice.formats.dated import DATED

_ON: Final = "[A-Za-z0-9_.@+$-]*[A-Za-z0-9_$]"

FRAGMENTS: Final[dict[str, str]] = {
    # an address of either kind; whether it is one, its type decides
    "ip": r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
    r"|(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,6})?::(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,6}(?:\.[0-9]{1,3}){0,3})?"
    r"|[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){7}",
    # what stands between a word and its address: brackets, quotes, Java's slash
    "opening": r"[\[(<{\"'`/]{0,3}(?:(?:ipv[46]|tcp[46]?|udp[46]?):(?://)?\[?)?",
    # what may follow an address, so that no part of a version, a name or a longer number is taken for one
    "edge": r"[^0-9A-Za-z_.-]|[.-][^0-9A-Za-z_]|[.-]?\Z",
    "octets": r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}",
    "method": "|".join(METHODS),
    # what a user may be called where no quotes say so; a number, or one behind a few letters (u-1093), is an id
    "user": rf"[A-Za-z]{{5}}(?:{_ON})?|[A-Za-z]{{1,4}}(?:[0-9$](?:{_ON})?|[.@+]{_ON}"
    rf"|[-_](?:[0-9]*[A-Za-z_$](?:{_ON})?|[0-9]*[.@+-]{_ON}))?|_(?:{_ON})?|[0-9]+(?:[A-Za-z_$](?:{_ON})?|[.@+-]{_ON})|@[A-Za-z0-9_.=/+-]+:[A-Za-z0-9.-]*[A-Za-z0-9]",
    # Windows' domain in front of a user
    "domain": r"[A-Za-z0-9][A-Za-z0-9._-]*",
    "open_quote": r"[\"'`\u2018\u201c\u00ab\u201e]",
    "close_quote": r"[\"'`\u2019\u201d\u00bb\u201c]",
    "quoted": r"[^\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb\u201e\n]+",
    **DATED,
}

_REFERENCE: Final = re.compile(r"%\{([a-z0-9_]+)\}")


def expand(source: str) -> str:
    """Put the fragments into a regular expression.

    Raises:
        KeyError: There is no such fragment; its name is the argument.
    """
    return _REFERENCE.sub(lambda match: f"(?:{FRAGMENTS[match[1]]})", source)
