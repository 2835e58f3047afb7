"""Time zones as logs print them: offsets, and abbreviations.

``GMT+3`` is written by two schools. As POSIX has it, and the tz database for its ``Etc/GMT+3``, it is three hours
*west* of Greenwich: C programs print that with ``%Z`` behind an ISO date, PostgreSQL among them. As CLDR has it
("GMT+3", "GMT+03:00"), and with it Java, browsers and Python's "UTC+03:00", it is three hours *east*. So only ``GMT``
with hours and no minutes behind an ISO date with a 24-hour clock is POSIX's.

Sources: POSIX.1-2017 section 8.3 (TZ), tz database (etcetera), Unicode TR 35 (time zone format), RFC 5322, RFC 9557.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from logsluice.formats.alternation import alternation

ZONES: Final[dict[str, int]] = {
    name: round(hours * 3600)
    for hours, names in {
        0: "UTC GMT UT WET",
        1: "CET MEZ MET WEST WAT",
        2: "CEST MESZ MEST EET CAT SAST",
        3: "EEST MSK EAT IDT TRT",
        3.5: "IRST",
        4: "MSD SAMT",
        5: "PKT YEKT UZT",
        5.75: "NPT",
        6: "OMST",
        7: "ICT WIB NOVT KRAT",
        8: "AWST HKT SGT MYT PHT WITA IRKT",
        9: "JST KST WIT YAKT",
        9.5: "ACST",
        10: "AEST VLAT ChST",
        10.5: "ACDT",
        11: "AEDT MAGT",
        12: "NZST PETT",
        13: "NZDT",
        -2: "BRST",
        -2.5: "NDT",
        -3: "ADT BRT ART UYT",
        -3.5: "NST",
        -4: "EDT",
        -5: "EST CDT COT PET",
        -6: "MDT",
        -7: "MST PDT",
        -8: "PST AKDT",
        -9: "AKST HDT",
        -10: "HST",
    }.items()
    for name in names.split()
}
"""Seconds east of UTC by abbreviation: those of RFC 5322 but CST, and those that mean one zone only."""

AMBIGUOUS_ZONES: Final = frozenset(["AMT", "AST", "BST", "CLT", "CST", "ECT", "GST", "IST", "SST", "VET", "WST"])
"""Abbreviations of several zones, or of zones whose offset changed: they are read as the zone that is set."""

_REGIONS = (
    "Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Brazil|Canada|Chile|Etc|Europe|Indian|Mexico|Pacific|US"
)
ABBREVIATION: Final = alternation((*ZONES, *AMBIGUOUS_ZONES))
"""All of them."""

OFFSET: Final = (
    r"(?:(?P<offset>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?|"
    r",? ?(?:Z|[+-][0-9]{2}:?[0-9]{2}|(?:GMT|UTC?) ?[+-](?:[0-9]{1,2}(?::[0-9]{2})?|[0-9]{4})|"
    rf"[\[(]?(?:{ABBREVIATION})[\])]?)| [+-](?:0[0-9]|1[0-4]))"
    r"(?: \((?:[A-Z]{1,3}T|UTC|[A-Z][a-z]+(?:[ -][A-Z][a-z]+)+)\))?)?"
)
"""How far from UTC a time is, where it says so; a comment behind it, as RFC 5322 has one, says the same again."""
ZONE_NAME: Final = rf"(?: ?[\[( ](?P<zone>(?:{_REGIONS})/[0-9A-Za-z_+/-]+)[\])]?)?"
"""A zone of the tz database: behind a blank, or in brackets (RFC 9557)."""

_FROM_GMT = re.compile(r"(GMT|UTC?) ?([+-])([0-9]{1,2})(?::?([0-9]{2}))?")


@lru_cache(maxsize=65_536)
def offset_seconds(text: str, *, iso_date: bool = False) -> int | None:
    """Seconds east of UTC of ``Z``, ``+02``, ``-0700``, ``+05:30``, ``GMT+3`` or an abbreviation of one meaning.

    Args:
        text: As it stands behind the time.
        iso_date: Whether it stands behind an ISO date.

    Returns:
        None where it is ambiguous or no offset.
    """
    text = text.strip(" ,()[]")
    if text in ("Z", "z"):
        return 0
    hours, minutes, sign = text[1:3], text[3:].removeprefix(":") or "0", text[0]
    if sign not in "+-":
        match = _FROM_GMT.fullmatch(text)
        if match is None:
            return ZONES.get(text)
        sign, hours, minutes = match[2], match[3], match[4] or "0"
        if match[1] == "GMT" and match[4] is None and iso_date:
            sign = "+" if sign == "-" else "-"
    if int(hours) > 23 or int(minutes) > 59:
        return None
    return (int(hours) * 3600 + int(minutes) * 60) * (-1 if sign == "-" else 1)


def is_ambiguous(offset: str) -> bool:
    """Whether an offset is an abbreviation of several zones."""
    return offset.strip(" ,()[]") in AMBIGUOUS_ZONES


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo | None:
    """The zone of that name in the tz database, if it has one."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None
