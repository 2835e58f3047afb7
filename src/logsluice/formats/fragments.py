"""Named pieces that the regular expressions of formats are built from, written ``%{name}``."""

from __future__ import annotations

import re
from typing import Final

from logsluice.formats.levels import LOCALISED
from logsluice.formats.localized import ANY_MARKER, ANY_NAME, LETTERS, WEEKDAY
from logsluice.formats.syntaxes import EVERYDAY, SYNTAXES, without_names
from logsluice.formats.zones import OFFSET, ZONE_NAME

_FIGURES = "[0-9]{1,4}[/.-][0-9]{1,2}[/.-][0-9]{2,4}|[0-9]{4}(?::[0-9]{2}){2}|[0-9]{8}"
_WEEKDAY = rf"(?:[{LETTERS}]{{2,12}}\.?,? {{1,2}})?"
_MONTH = f"(?:{ANY_NAME})"
_NAMED = (
    rf"(?:{_MONTH}(?: +|[/-])[0-9]{{1,2}}(?:st|nd|rd|th)?|[0-9]{{1,2}}(?:\. ?| de |[ /-]){_MONTH}|"
    rf"[0-9]{{4}}[ /-]{_MONTH}[ /-]+[0-9]{{1,2}})(?:(?:[ ,/-]{{1,2}}|,? de )[0-9]{{4}}|-[0-9]{{2}})?"
)
_CLOCK = (
    r"[0-9]{1,2}[:.][0-9]{2}(?:[:.][0-9]{2}(?:[.,:][0-9]{1,9})?)?"
    rf"(?:[ \u00a0\u202f]?(?:{ANY_MARKER}))?"
)
_COMPACT = "[0-9]{8}[T.:_-]?[0-9]{6}(?:[.,][0-9]{1,9})?|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}[T_-][0-9]{6}(?:[.,][0-9]{1,9})?"
_BETWEEN = r"(?:[ T:,@_-]{1,3}|,? (?:at|um|à|às|alle|klo|kl\.|в) )"
_BEHIND = rf"{without_names(OFFSET)}(?:\.[0-9]{{1,9}}| [0-9]{{4}})?{without_names(ZONE_NAME)}"

FRAGMENTS: Final[dict[str, str]] = {
    # a level word, whatever its case
    "level": r"(?ai:trace|verbose|finest|finer|fine|config|debug|information|informational|info|notice|note|"
    r"warning|warn|error|err|severe|failure|fatal|critical|crit|alert|emergency|emerg|dpanic|panic|success)",
    # a level word in capitals: the only kind that stands out with nothing around it
    "caps": r"(?:TRACE|VERBOSE|FINEST|FINER|FINE|CONFIG|DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|ERR|SEVERE|FAILURE|"
    r"FATAL|CRITICAL|CRIT|ALERT|EMERGENCY|EMERG|DPANIC|PANIC)",
    # those that mean a level where they begin a line of any kind
    "common_level": r"(?ai:trace|debug|information|info|notice|warning|warn|error|err|severe|fatal|critical|crit|"
    r"panic)",
    # a level word of java.util.logging in another language, as written, in capitals or with a capital first
    "jul_level": "|".join(
        re.escape(form)
        for spellings in LOCALISED.values()
        for spelling in spellings.split(", ")
        for form in dict.fromkeys((spelling.upper(), spelling.capitalize()))
    ),
    # one piece of software's name: org.foo.Bar, Bar$Baz, foo-bar.baz, Bar
    "logger": r"(?:[A-Z$][0-9A-Za-z_$]*|[A-Za-z_$][0-9A-Za-z_$-]*(?:(?:\.|/|::)[0-9A-Za-z_$-]+)+|root|main|__main__)",
    # the same, with a dot for sure
    "dotted": r"(?:[A-Za-z_$][0-9A-Za-z_$-]*(?:\.[0-9A-Za-z_$-]+)+)",
    # a class or module in a package: org.foo.Bar, c.e.Bar, a.b.c; a file's or host's name is none
    "package": r"(?:[a-z_][0-9a-z_]*\.)+(?:[A-Z$][0-9A-Za-z_$]*|[a-z_][0-9a-z_]*\.[a-z_][0-9a-z_]*)",
    "ip": r"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|"
    r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:[0-9]{0,2}(?:\.[0-9]{1,3}){3})?)",
    # a machine's name as of RFC 1123, underscores let pass
    "host": r"(?:[0-9A-Za-z_](?:[0-9A-Za-z_.-]{0,252}[0-9A-Za-z_])?)",
    # a machine in a syslog header: its name or address
    "machine": r"(?:%{host}|%{ip})",
    # a program in a syslog header (RFC 3164, 4.1.3), with what programs have in their names beyond letters and figures
    "tag": r"(?:[0-9.]{0,8}[A-Za-z_/(@~$][0-9A-Za-z_/.()@+*~$#-]{0,79})",
    # who sent a request: an address, also with its port, or a name; of a list of proxies the first
    "client": r"(?:\"?(?:\[?(?P<source_ip>%{ip})\]?|(?P<source_address>%{host}))(?::(?P<source_port>[0-9]{1,5}))?"
    r"(?:, ?[0-9A-Za-z_.:\[\]-]+)*\"?)",
    # who a web server says it was: never with blanks outside quotes
    "web_user": r"(?:-|\"-?\"|\"(?P<quoted_user>[^\"\n]+)\"|(?P<user>[^ \"\[\n]+))",
    # the first line of an HTTP request
    "http_request": r"(?P<method>[A-Z][A-Z_-]{1,19}) "
    r"(?P<url>(?:[A-Za-z][0-9A-Za-z+.-]*://(?P<domain>[^/ \":?]*)(?::[0-9]+)?)?"
    r"(?P<path>(?:/[^?\"\n]*?)?|\*)(?:\?(?P<query>[^\"\n]*?))?)"
    r"(?: HTTP/(?P<http_version>[0-9.]+) ?)?",
    # the same, or whatever came in its place
    "request": r"(?:%{http_request}|-?|(?P<no_request>%{quoted}))",
    # a status and how much was sent
    "answer": r"(?:-|(?P<status>[0-9]{3})) (?:-|(?P<bytes>[0-9]+))",
    # referrer and user agent; a user agent may bring quotes of its own
    "agent": r"\"(?:-|(?P<referrer>%{quoted}))\" \"(?:-|(?P<user_agent>%{quoted}|\"[^\"\n]*\"))\"",
    # between quotes, with backslash escapes
    "quoted": r'(?:[^"\\]|\\.)*',
    "uuid": r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}",
    # what may be padded with spaces; written so that Python's engine never tries a run of spaces twice
    "in_brackets": r"[^\]\n ]+(?: +[^\]\n ]+)*",
    "between_bars": r"[^|\n ]+(?: +[^|\n ]+)*",
    "rest": r"(?s:.*)",
    # one as loggers of programs write it: a date in figures, or with an English month, a clock, perhaps a zone
    "logger_time": r"(?:[0-9]{1,4}[/.-][0-9]{1,2}[/.-][0-9]{2,4}(?:T|[ ,:_-]{1,2})|"
    r"[0-9]{1,2}[ -][A-Z][a-z]{2,8}[ -][0-9]{4},? )[0-9]{1,2}[:.][0-9]{2}[:.][0-9]{2}(?:[.,:][0-9]{1,9})?"
    r"(?: ?(?:Z|[+-][0-9]{2}:?(?:[0-9]{2})?|UTC|GMT|[A-Z]{2,4}T))?",
    # a time stamp of nearly any kind: wider than the syntaxes it is then tried with, and so much smaller
    "when": rf"(?:(?:(?:{WEEKDAY} )?(?:{_FIGURES})|{_WEEKDAY}(?:{_NAMED})){_BETWEEN}{_CLOCK}|{_COMPACT}){_BEHIND}",
}
"""Besides these, the name of every timestamp syntax stands for that timestamp."""

_SYNTAXES_OF_WHEN: Final = (
    "iso8601",
    "slash_ymd",
    "syslog",
    *(name for name in EVERYDAY if name not in ("iso8601", "slash_ymd", "syslog", "epoch")),
)

_REFERENCE: Final = re.compile(r"%\{([a-z0-9_]+)\}")


def expand(source: str) -> str:
    """Put the fragments into a regular expression.

    Raises:
        KeyError: There is no such fragment; its name is the argument.
    """

    def text(match: re.Match[str]) -> str:
        name = match[1]
        return SYNTAXES[name].bare if name in SYNTAXES else f"(?:{expand(FRAGMENTS[name])})"

    return _REFERENCE.sub(text, source)


def without_fragments(source: str) -> str:
    """A regular expression with letters in place of each fragment: what is wrong in it is wrong at the same place."""
    return _REFERENCE.sub(lambda match: "a" * len(match[0]), source)


def syntaxes_in(source: str) -> tuple[str, ...]:
    """The timestamp syntaxes that a regular expression refers to, in order of appearance."""
    found: dict[str, None] = {}
    for name in _REFERENCE.findall(source):
        if name in SYNTAXES:
            found[name] = None
        elif name in ("when", "logger_time"):
            found |= dict.fromkeys(_SYNTAXES_OF_WHEN)
    return tuple(found)
