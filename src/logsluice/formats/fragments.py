"""Named pieces that the regular expressions of formats are built from, written ``%{name}``."""

from __future__ import annotations

import re
from typing import Final

from logsluice.formats.syntaxes import SYNTAXES

FRAGMENTS: Final[dict[str, str]] = {
    # a level word, whatever its case
    "level": r"(?ai:trace|verbose|finest|finer|fine|config|debug|information|informational|info|notice|note|"
    r"warning|warn|error|err|severe|failure|fatal|critical|crit|alert|emergency|emerg|dpanic|panic|success)",
    # the same, as abbreviated to three or four letters
    "level3": r"(?:[Tt]rce|TRCE|TRC|[Vv]rb|VRB|[Dd]bug|[Dd]bg|DBUG|DBG|DEB|[Ii]nf|INF|[Ww]rn|WRN|[Ee]rr|ERR|"
    r"[Ff]ail|FAIL|[Ff]tl|FTL|FATA|WARN|INFO|DEBU|ERRO|PANI|TRAC|[Cc]rit|CRIT|CRI|info|warn)",
    "ip": r"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f.]{0,15}){2,8}(?:%[0-9A-Za-z]{1,16})?)",
    "int": r"[0-9]+",
    # a word up to the next space
    "word": r"[^ \n]+",
    # a host's name or address
    "host": r"[0-9A-Za-z_][0-9A-Za-z_.:%-]*",
    # a name in code: package, module, class
    "name": r"[A-Za-z_$][0-9A-Za-z_.$/:<>#`~-]*",
    # between quotes, with backslash escapes
    "quoted": r'(?:[^"\\]|\\.)*',
    "rest": r"(?s:.*)",
}
"""Besides these, the name of every timestamp syntax stands for that timestamp."""

_REFERENCE: Final = re.compile(r"%\{([a-z0-9_]+)\}")


def expand(source: str) -> str:
    """Put the fragments into a regular expression.

    Raises:
        KeyError: There is no such fragment; its name is the argument.
    """

    def text(match: re.Match[str]) -> str:
        name = match[1]
        return SYNTAXES[name].bare if name in SYNTAXES else f"(?:{FRAGMENTS[name]})"

    return _REFERENCE.sub(text, source)


def syntaxes_in(source: str) -> tuple[str, ...]:
    """The timestamp syntaxes that a regular expression refers to, in order of appearance."""
    return tuple(dict.fromkeys(name for name in _REFERENCE.findall(source) if name in SYNTAXES))
