"""How timestamps are written: one named regular expression each, with a group for every component.

Groups: ``year`` ``year2`` ``month`` ``month_name`` ``day`` ``hour`` ``minute`` ``second`` ``fraction`` ``millis``
``ampm`` ``offset`` ``zone`` (an IANA name), or ``epoch_s`` ``epoch_ms`` ``epoch_us`` ``epoch_ns``. What a syntax lacks
is found out from when the event was seen: without a year it is the latest such date that is not after that, without a
day the latest such time.

Sources: RFC 3339, RFC 5322, RFC 3164, the Apache, Android, Windows, Squid and Blue Gene/L logs themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from logsluice.formats.localized import ANY_MARKER, ANY_NAME, LETTERS, MARKER, MONTH_NAME, WEEKDAY
from logsluice.formats.restated import RESTATED, Restate
from logsluice.formats.zones import OFFSET, ZONE_NAME

_WEEKDAY = rf"[{LETTERS}]{{2,12}}\.?,?"
_MONTH_NAME = rf"(?P<month_name>{MONTH_NAME})"
_YEAR = r"(?P<year>[0-9]{4})"
_MONTH = r"(?P<month>[0-9]{1,2})"
_DAY = r"(?P<day>[0-9]{1,2})"
_CLOCK = r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_FRACTION = r"(?:[.,:](?P<fraction>[0-9]{1,9}))?"
_SHORT_CLOCK = rf"(?P<hour>[0-9]{{1,2}}):(?P<minute>[0-9]{{2}})(?::(?P<second>[0-9]{{2}}){_FRACTION})?"
_AMPM = rf"(?:[ \u00a0\u202f]?(?P<ampm>{MARKER}))?"
_DAYTIME = _CLOCK + _FRACTION + OFFSET
_TWELVE_HOURS = _SHORT_CLOCK + _AMPM + OFFSET
_AT = r"(?:,? {1,2}(?:(?:at|um|à|às|alle|klo|kl\.|в) )?|[-:T_,]| [-@] )"
"""What stands between a date and its time."""

_NAMED_GROUP = re.compile(r"\(\?P<([a-z0-9_]+)>")


@dataclass(frozen=True)
class Syntax:
    """One way of writing a timestamp.

    Attributes:
        source: The regular expression; it must match the whole text.
        rust: The same for Rust's engine, anchored at both ends.
        groups: The components it can give.
        iso_date: Whether its date is that of ISO 8601, and its clock one of 24 hours.
        restate: Says the same in one of the other syntaxes, where this one is too rare to be read by itself.
    """

    source: str
    rust: str
    groups: frozenset[str]
    iso_date: bool = False
    restate: Restate | None = None

    @cached_property
    def python(self) -> re.Pattern[str]:
        """The regular expression, compiled when it is asked for first: few processes meet more than a few syntaxes."""
        return re.compile(self.source)

    @property
    def bare(self) -> str:
        """The regular expression with no named groups, to be built into another; what it names may be any word."""
        return without_names(self.source.replace(MONTH_NAME, ANY_NAME).replace(MARKER, ANY_MARKER))


def without_names(source: str) -> str:
    """A regular expression with its named groups made unnamed."""
    return "(?:" + _NAMED_GROUP.sub("(?:", source) + ")"


def _syntax(name: str, source: str, restate: Restate | None = None) -> Syntax:
    groups = frozenset(_NAMED_GROUP.findall(source))
    return Syntax(source, rf"\A(?:{source})\z", groups, name in ("iso8601", "weekday_iso"), restate)


_ISO = rf"{_YEAR}-{_MONTH}-{_DAY}(?:[Tt_\t-]|,? {{1,2}}|,| [-@] ){_SHORT_CLOCK}{OFFSET}{ZONE_NAME}"
_DAY_OF_MONTH_NAME = rf"{_DAY}(?:\. ?| de |[ -]){_MONTH_NAME}"

SYNTAXES: Final[dict[str, Syntax]] = {
    name: _syntax(name, source)
    for name, source in {
        # 2024-01-31T10:15:30.123456789+02:00, 2024-01-31 10:15:30,123 +0200, 2024-01-31 10:15Z
        "iso8601": _ISO,
        # 20240131T101530.123Z, 20240131 10:15:30, 20240131101530, 20240131.101530
        "iso_basic": r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})[T :._-]?"
        rf"(?P<hour>[0-9]{{2}}):?(?P<minute>[0-9]{{2}}):?(?P<second>[0-9]{{2}}){_FRACTION}{OFFSET}",
        # 2024-01-31 10:15:30 AM
        "iso_ampm": rf"{_YEAR}-{_MONTH}-{_DAY},? {{1,2}}{_SHORT_CLOCK}[ \u00a0\u202f]?(?P<ampm>{MARKER}){OFFSET}",
        # Fri 2024-07-12 10:11:12 CEST (the journal)
        "weekday_iso": rf"{WEEKDAY} {_ISO}",
        # 2024/01/31 10:15:30.123
        "slash_ymd": rf"{_YEAR}/{_MONTH}/{_DAY}(?:[T :_-]{{1,3}}|, )"
        rf"{_CLOCK}{_FRACTION}{_AMPM}{OFFSET}",
        # 17/06/09 20:10:40
        "slash_yymd": rf"(?P<year2>[0-9]{{2}})/(?P<month>[0-9]{{2}})/(?P<day>[0-9]{{2}})[ -]{_DAYTIME}",
        # 1/31/2024 3:04:05 PM, 01/31/2024-15:04:05.678901
        "slash_mdy": rf"(?:{WEEKDAY} )?{_MONTH}/{_DAY}/{_YEAR}{_AT}{_TWELVE_HOURS}",
        # 1/31/24 15:04:05:678 UTC (WebSphere)
        "slash_mdyy": rf"{_MONTH}/{_DAY}/(?P<year2>[0-9]{{2}}){_AT}{_TWELVE_HOURS}",
        # 31/01/2024 15:04:05
        "slash_dmy": rf"(?:{WEEKDAY} )?{_DAY}/{_MONTH}/{_YEAR}{_AT}{_TWELVE_HOURS}",
        # 31.01.2024 15:04:05
        "dot_dmy": rf"(?:{WEEKDAY} )?{_DAY}\.{_MONTH}\.{_YEAR}{_AT}{_TWELVE_HOURS}",
        # 2024.01.31 15:04:05, 2024.01.31-15.04.05 (Unreal: 2024.01.31-15.04.05:123)
        "dot_ymd": rf"{_YEAR}\.{_MONTH}\.{_DAY}[ T_-](?P<hour>[0-9]{{1,2}})[.:](?P<minute>[0-9]{{2}})"
        rf"[.:](?P<second>[0-9]{{2}}){_FRACTION}{OFFSET}",
        # 31-01-2024 15:04:05
        "dash_dmy": rf"{_DAY}-{_MONTH}-{_YEAR}{_AT}{_TWELVE_HOURS}",
        # 01-31-2024 15:04:05
        "dash_mdy": rf"{_MONTH}-{_DAY}-{_YEAR}{_AT}{_TWELVE_HOURS}",
        # 081109 203615, 240131  3:04:05 (MySQL up to 5.6)
        "compact_yymd": r"(?P<year2>[0-9]{2})(?P<month>[0-9]{2})(?P<day>[0-9]{2}) {1,2}"
        r"(?P<hour>[0-9]{1,2}):?(?P<minute>[0-9]{2}):?(?P<second>[0-9]{2})",
        # 20171223-22:15:29:606, 20171223-0:5:9:6: no part padded with zeros, the last one milliseconds
        "compact_loose": r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})-"
        r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{1,2}):(?P<second>[0-9]{1,2}):(?P<millis>[0-9]{1,3})",
        # 2005-06-03-15.42.50.675872 (Blue Gene/L, DB2)
        "dotted_clock": rf"{_YEAR}-{_MONTH}-{_DAY}[-T _](?P<hour>[0-9]{{2}})\.(?P<minute>[0-9]{{2}})"
        rf"\.(?P<second>[0-9]{{2}})(?:\.(?P<fraction>[0-9]{{1,9}}))?{OFFSET}",
        # 1117838570 2005.06.03 R02-M1-N0-C:J12-U11 2005-06-03-15.42.50.675872: the whole header of a Blue Gene/L
        # line. Its last part is the machine's local time, so the instant is the first, its fraction the last.
        "bgl": r"(?P<epoch_s>[0-9]{9,10}) [0-9]{4}\.[0-9]{2}\.[0-9]{2} [^ \n]+ "
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9]{2}\.[0-9]{2}\.[0-9]{2}\.(?P<fraction>[0-9]{1,6})",
        # 10/Oct/2000:13:55:36 -0700
        "clf": rf"{_DAY}/{_MONTH_NAME}/{_YEAR}(?:[: -]|, ){_DAYTIME}",
        # Sun Dec 04 04:47:44.123456 2005, Sun Dec  4 04:47:44 UTC 2005, Dec 4 04:47:44 2005
        "ctime": rf"(?:{_WEEKDAY} )?{_MONTH_NAME} {{1,2}}{_DAY} {_CLOCK}{_FRACTION}{OFFSET} {_YEAR}",
        # Fr 12. Jul 10:11:12 CEST 2024 (date)
        "date_dmy": rf"(?:{_WEEKDAY} {{1,2}})?{_DAY_OF_MONTH_NAME} {_CLOCK}{_FRACTION}{_AMPM}{OFFSET} {_YEAR}",
        # Dec 10 06:55:46, Dec 10 06:55:46.123, Dec 10 06:55:46 UTC
        "syslog": rf"{_MONTH_NAME}(?: {{1,2}}|-){_DAY} {_DAYTIME}",
        # Dec 10 2024 06:55:46, Jan 02, 2024 3:04:05 PM, Sun Jan 2, 2024 15:04:05, jul/12/2024 10:11:12 (RouterOS)
        "month_day_year": rf"(?:{_WEEKDAY} )?{_MONTH_NAME}(?: {{1,2}}|[/-]){_DAY}(?:st|nd|rd|th)?(?:,? |[/-]){_YEAR}"
        rf"{_AT}{_TWELVE_HOURS}",
        # Sun, 06 Nov 1994 08:49:37 GMT, Tue 28 Jul 2024 10:00:00, 26 Jul 2024 10:00:00.123, 02-Jan-2024 10:00:00
        "day_month_year": rf"(?:{_WEEKDAY} {{1,2}})?{_DAY_OF_MONTH_NAME}(?:,? (?:de )?|-){_YEAR}(?:{_AT}|[ :T]{{1,2}})"
        rf"{_TWELVE_HOURS}{ZONE_NAME}",
        # 26 Jul 10:00:00.123 (Redis up to 3)
        "day_month": rf"{_DAY_OF_MONTH_NAME} {_DAYTIME}",
        # 03-17 16:13:38.811 (Android), 07/12-10:11:12.345678 (Snort)
        "month_day": rf"(?P<month>[0-9]{{2}})[-/](?P<day>[0-9]{{2}})[ -]{_CLOCK}{_FRACTION}",
        # 10.30 16:49:06 (Proxifier)
        "dot_month_day": rf"(?P<month>[0-9]{{2}})\.(?P<day>[0-9]{{2}}) {_CLOCK}{_FRACTION}",
        # 240131 15:04:05.000000 (CockroachDB)
        "klog_year": r"(?P<year2>[0-9]{2})(?P<month>[0-9]{2})(?P<day>[0-9]{2}) "
        rf"{_CLOCK}{_FRACTION}",
        # 02Jan2024 15:04:05.678 (Minecraft Forge)
        "glued_month": rf"(?P<day>[0-9]{{2}}){_MONTH_NAME}{_YEAR} {_CLOCK}{_FRACTION}",
        # 0102 15:04:05.000000 (glog, klog)
        "klog": rf"(?P<month>[0-9]{{2}})(?P<day>[0-9]{{2}}) {_CLOCK}{_FRACTION}",
        # 2024 Jan 31 10:15:30.123, 2024-Jan-31 10:15:30
        "year_month_day": rf"{_YEAR}[ /-]{_MONTH_NAME}[ /-]{{1,2}}{_DAY}[ :]{_DAYTIME}",
        # 1286536309.586, 1286536309, 1286536309586, 1286536309586123, 1286536309586123456
        "epoch": r"(?P<epoch_s>[0-9]{9,11})(?:[.,](?P<fraction>[0-9]{1,9}))?|(?P<epoch_ms>[0-9]{12,14})(?:\.[0-9]+)?"
        r"|(?P<epoch_us>[0-9]{15,16})|(?P<epoch_ns>[0-9]{18,19})",
        # 3:04PM
        "kitchen": r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2}) ?(?P<ampm>[AaPp][Mm])",
        # 10:15:30.123
        "time_of_day": rf"{_CLOCK}{_FRACTION}{_AMPM}{OFFSET}",
    }.items()
} | {name: _syntax(name, entry.source, entry.restate) for name, entry in RESTATED.items()}
"""By name. Where a syntax could be read as another, formats list the likelier one first."""

PLAINEST: Final[dict[str, Syntax]] = {
    name: _syntax(name, source)
    for name, source in {
        "iso8601": rf"{_YEAR}-(?P<month>[0-9]{{2}})-(?P<day>[0-9]{{2}})[T ](?P<hour>[0-9]{{2}}):(?P<minute>[0-9]{{2}})"
        r":(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?(?P<offset>Z|[+-][0-9]{2}:[0-9]{2})?",
        "clf": r"(?P<day>[0-9]{2})/(?P<month_name>[A-Z][a-z]{2})/(?P<year>[0-9]{4}):(?P<hour>[0-9]{2})"
        r":(?P<minute>[0-9]{2}):(?P<second>[0-9]{2}) (?P<offset>[+-][0-9]{4})",
        "syslog": r"(?P<month_name>[A-Z][a-z]{2}) {1,2}(?P<day>[0-9]{1,2}) (?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})"
        r":(?P<second>[0-9]{2})",
    }.items()
}
"""The form in which a syntax is nearly always written, with the same groups: the engine runs it far faster."""

MIRRORED: Final = {
    "slash_mdy": "slash_dmy",
    "slash_dmy": "slash_mdy",
    "dash_mdy": "dash_dmy",
    "dash_dmy": "dash_mdy",
}
"""Syntaxes that differ in the order of day and month alone: where both are tried, the order is not known."""

EVERYDAY: Final = (
    "iso8601",
    "epoch",
    "slash_ymd",
    "clf",
    "day_month_year",
    "ctime",
    "month_day_year",
    "iso_basic",
    "iso_ampm",
    "weekday_iso",
    "slash_mdy",
    "slash_dmy",
    "dot_dmy",
    "dot_ymd",
    "dash_dmy",
    "dash_mdy",
    "year_month_day",
    "date_dmy",
    "dotted_clock",
    "syslog",
    "day_month",
    *RESTATED,
)
"""What a timestamp of unknown origin may be written in, the likeliest first. Of dates whose order of day and month is
not known the month is first between slashes, the day between dashes; such a one is remarked on."""
