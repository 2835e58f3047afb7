"""Regular expressions that find a date with its time inside a text, and tell those that are not the event's own.

What is sought is written in full (a year, or a month's name and a day, and a clock of seconds or a 12-hour one). It
stands by itself: not inside a longer number, a path, an address, a version or a file's name. A bare number of seconds
is no time.
"""

from __future__ import annotations

from typing import Final

from logsluice.formats.localized import MARKER, MONTH_NAME, MONTHS, WEEKDAY
from logsluice.formats.syntaxes import SYNTAXES, without_names
from logsluice.formats.zones import OFFSET, ZONE_NAME

_MONTH: Final = f"(?:{MONTH_NAME})"
_DAY: Final = "[0-9]{1,2}"
_WRITTEN: Final = (
    r"[0-9]{4}[-/.:](?:1[0-2]|0?[1-9])[-/.:](?:3[01]|[12][0-9]|0?[1-9])|"
    r"[0-9]{1,2}[-/.][0-9]{1,2}[-/.](?:[0-9]{4}|[0-9]{2})|"
    rf"{_DAY}(?:\. ?| de |[ /-]){_MONTH}(?:(?:[ /-]|,? de |, )[0-9]{{4}}|-[0-9]{{2}})?|"
    rf"{_MONTH}(?: {{1,2}}|[/-]){_DAY}(?:st|nd|rd|th)?(?:(?:,? |[/-])[0-9]{{4}})?|"
    rf"[0-9]{{4}}[ /-]{_MONTH}[ /-]{{1,2}}{_DAY}"
)
_CLOCK: Final = (
    r"(?:[T:_,-]|,? {1,2}(?:(?:at|um|à|às|alle|klo|kl\.|в) )?| [-@] )"
    r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,:][0-9]{1,9})?)?"
    rf"(?:[ \u00a0\u202f]?(?:{MARKER}))?"
    rf"{without_names(OFFSET)}(?: [0-9]{{4}}|\.[0-9]{{1,9}})?{without_names(ZONE_NAME)}"
)
_ENGLISH: Final = "|".join(sorted({name[:3].capitalize() for name in MONTHS}))
_COMPACT: Final = (
    r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])[0-3][0-9](?:T[0-2][0-9][0-5][0-9][0-5][0-9]Z?|[ -][0-9]{2}:[0-9]{2}:[0-9]{2})"
)
_DATE: Final = (
    r"(?:[0-9]{1,4}[-/.](?:[0-9]{1,2}|[A-Za-z]{3,9})[-/.][0-9]{2,4}|[0-9]{1,2} [A-Z][a-z]{2}|"
    rf"(?:[A-Z][a-z]{{2}},? )?(?:{_ENGLISH})[a-z]* {{1,2}}[0-9]{{1,2}}|[A-Z][a-z]{{2}}, [0-9])"
)

DATED: Final[dict[str, str]] = {
    # as far as the event's own time may stand from the message's beginning
    "before_time": r"\A(?s:.{0,160}?)",
    # a date that belongs to something else: when a thing ends, was made or changed, or a span's ends
    "other_time": (
        r"(?:\b(?ai:until|till|expir[a-z]*|valid|not[ _-]?(?:after|before)|born|birth[a-z]*|dob|due|deadline|modified|"
        r"changed|updated|last|previous|next|schedul[a-z]*|planned|renew[a-z]*|retry|built|build|compiled|released?|"
        r"version|uploaded|uptime|boot(?:ed)?|since|[macb]time|lease|eta)\b[^0-9\n]{0,24}|"
        r"\b(?ai:from|to|between|before|after|by|for|of|than|as)[ ='\"]{1,2}|[ (][<>=!]{1,2} ?['\"]?|['`])"
        rf"{_DATE}"
    ),
    "time_begins": (
        r"(?:\A[\"'*.#]{0,2}|[ \t\n,;|][\"*]?|[\[(<{>]|"
        r"(?:\A#?|[ \t\n,;|(\[{])"
        r"(?ai:@?timestamp|date[_-]?time|event[_-]?time|time|date|ts|when|at|logged|occurred)(?:=|: ?)[\"']?)"
    ),
    "dated": rf"(?:{WEEKDAY} {{1,2}})?(?:{_WRITTEN}){_CLOCK}|{_COMPACT}|{SYNTAXES['east_asian'].bare}",
    "time_ends": r"(?:[\s\])>},;|\"'!?]|[.:-](?:\s|\Z)|:?\Z|: )",
}
"""By name, to be put into the regular expressions of formats and patterns."""
