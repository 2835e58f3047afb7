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
from typing import Final

MONTHS: Final[dict[str, int]] = {
    spelling: number
    for number, names in enumerate(
        [
            "jan january",
            "feb february",
            "mar march",
            "apr april",
            "may",
            "jun june",
            "jul july",
            "aug august",
            "sep sept september",
            "oct october",
            "nov november",
            "dec december",
        ],
        start=1,
    )
    for spelling in names.split()
}
"""Month numbers by lower-case name."""

ZONES: Final[dict[str, int]] = {
    name: round(hours * 3600)
    for hours, names in {
        0: "UTC GMT UT WET",
        1: "CET MEZ WEST",
        2: "CEST MESZ EET",
        3: "EEST MSK",
        8: "AWST HKT SGT",
        9: "JST KST",
        9.5: "ACST",
        10: "AEST",
        10.5: "ACDT",
        11: "AEDT",
        12: "NZST",
        13: "NZDT",
        -4: "EDT",
        -5: "EST",
        -6: "MDT",
        -7: "MST PDT",
        -8: "PST AKDT",
        -9: "AKST",
        -10: "HST",
    }.items()
    for name in names.split()
}
"""Seconds east of UTC by abbreviation: those of RFC 5322 and those that mean one zone only."""

AMBIGUOUS_ZONES: Final = frozenset(
    ["ADT", "AST", "BRT", "BST", "CDT", "CST", "IST", "MET", "PKT", "SAST", "SST", "WIB"]
)
"""Abbreviations of several zones, or of zones whose offset changed: they are read as the zone that is set."""

_WEEKDAY = r"[A-Z][a-z]{2,8},?"
_MONTH_NAME = r"(?P<month_name>[A-Z][A-Za-z]{2,8})"
_YEAR = r"(?P<year>[0-9]{4})"
_MONTH = r"(?P<month>[0-9]{1,2})"
_DAY = r"(?P<day>[0-9]{1,2})"
_CLOCK = r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_FRACTION = r"(?:[.,:](?P<fraction>[0-9]{1,9}))?"
_AMPM = r"(?: ?(?P<ampm>[AaPp]\.?[Mm]\.?))?"
ABBREVIATION = (
    "UTC?|GMT|[AECMP][SD]T|AK[SD]T|A[CE][SD]T|AWST|NZ[SD]T|[WCE]ES?T|MES?Z|MET|[BHIJKS]ST|BRS?T|[HP]KT|SGT|MSK|SAST|WIB"
)
"""Exactly those of ZONES and AMBIGUOUS_ZONES, written short."""
OFFSET: Final = (
    r"(?P<offset>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?|"
    rf" ?(?:Z|[+-][0-9]{{2}}:?[0-9]{{2}}|{ABBREVIATION}))?"
)
"""How far from UTC a time is, where it says so."""
_ZONE_NAME = r"(?: (?P<zone>[A-Z][A-Za-z]+/[A-Za-z_/-]+))?"
_DAYTIME = _CLOCK + _FRACTION + OFFSET


@dataclass(frozen=True, slots=True)
class Syntax:
    """One way of writing a timestamp.

    Attributes:
        source: The regular expression; it must match the whole text.
        python: The same, compiled.
        rust: The same for Rust's engine, anchored at both ends.
        groups: The components it can give.
    """

    source: str
    python: re.Pattern[str]
    rust: str
    groups: frozenset[str]

    @property
    def bare(self) -> str:
        """The regular expression with no named groups, to be built into another."""
        return without_names(self.source)


def without_names(source: str) -> str:
    """A regular expression with its named groups made unnamed."""
    return "(?:" + re.sub(r"\(\?P<[a-z0-9_]+>", "(?:", source) + ")"


def _syntax(source: str) -> Syntax:
    compiled = re.compile(source)
    return Syntax(source, compiled, rf"\A(?:{source})\z", frozenset(compiled.groupindex))


SYNTAXES: Final[dict[str, Syntax]] = {
    name: _syntax(source)
    for name, source in {
        # 2024-01-31T10:15:30.123456789+02:00, 2024-01-31 10:15:30,123 +0200, 2024-01-31 10:15Z
        "iso8601": rf"{_YEAR}-{_MONTH}-{_DAY}(?:[Tt_\t-]| {{1,2}})(?P<hour>[0-9]{{1,2}}):(?P<minute>[0-9]{{2}})"
        rf"(?::(?P<second>[0-9]{{2}}){_FRACTION})?{OFFSET}(?:\[[A-Z][A-Za-z_/]+\])?",
        # 20240131T101530.123Z, 20240131 10:15:30, 20240131101530
        "iso_basic": r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})[T :-]?"
        rf"(?P<hour>[0-9]{{2}}):?(?P<minute>[0-9]{{2}}):?(?P<second>[0-9]{{2}}){_FRACTION}{OFFSET}",
        # 2024-01-31 10:15:30 AM
        "iso_ampm": rf"{_YEAR}-{_MONTH}-{_DAY} {_CLOCK}{_FRACTION} ?(?P<ampm>[AaPp]\.?[Mm]\.?)",
        # 2024/01/31 10:15:30.123
        "slash_ymd": rf"{_YEAR}/{_MONTH}/{_DAY}[T :-]{{1,3}}{_DAYTIME}",
        # 17/06/09 20:10:40
        "slash_yymd": rf"(?P<year2>[0-9]{{2}})/(?P<month>[0-9]{{2}})/(?P<day>[0-9]{{2}})[ -]{_DAYTIME}",
        # 1/31/2024 3:04:05 PM
        "slash_mdy": rf"{_MONTH}/{_DAY}/{_YEAR},? {{1,2}}{_CLOCK}{_FRACTION}{_AMPM}{OFFSET}",
        # 1/31/24 15:04:05:678 UTC (WebSphere)
        "slash_mdyy": rf"{_MONTH}/{_DAY}/(?P<year2>[0-9]{{2}}),? {{1,2}}{_CLOCK}{_FRACTION}{_AMPM}{OFFSET}",
        # 31/01/2024 15:04:05
        "slash_dmy": rf"{_DAY}/{_MONTH}/{_YEAR}[, :]{{1,2}}{_CLOCK}{_FRACTION}{_AMPM}{OFFSET}",
        # 31.01.2024 15:04:05
        "dot_dmy": rf"{_DAY}\.{_MONTH}\.{_YEAR},? {_DAYTIME}",
        # 2024.01.31 15:04:05, 2024.01.31-15.04.05 (Unreal: 2024.01.31-15.04.05:123)
        "dot_ymd": rf"{_YEAR}\.{_MONTH}\.{_DAY}[ T-](?P<hour>[0-9]{{1,2}})[.:](?P<minute>[0-9]{{2}})"
        rf"[.:](?P<second>[0-9]{{2}}){_FRACTION}{OFFSET}",
        # 31-01-2024 15:04:05
        "dash_dmy": rf"{_DAY}-{_MONTH}-{_YEAR},? {_DAYTIME}",
        # 081109 203615, 240131  3:04:05 (MySQL up to 5.6)
        "compact_yymd": r"(?P<year2>[0-9]{2})(?P<month>[0-9]{2})(?P<day>[0-9]{2}) {1,2}"
        r"(?P<hour>[0-9]{1,2}):?(?P<minute>[0-9]{2}):?(?P<second>[0-9]{2})",
        # 20171223-22:15:29:606, 20171223-0:5:9:6: no part padded with zeros, the last one milliseconds
        "compact_loose": r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})-"
        r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{1,2}):(?P<second>[0-9]{1,2}):(?P<millis>[0-9]{1,3})",
        # 2005-06-03-15.42.50.675872 (Blue Gene/L, DB2)
        "dotted_clock": rf"{_YEAR}-{_MONTH}-{_DAY}-(?P<hour>[0-9]{{2}})\.(?P<minute>[0-9]{{2}})\.(?P<second>[0-9]{{2}})"
        rf"(?:\.(?P<fraction>[0-9]{{1,9}}))?{OFFSET}",
        # 1117838570 2005.06.03 R02-M1-N0-C:J12-U11 2005-06-03-15.42.50.675872: the whole header of a Blue Gene/L
        # line. Its last part is the machine's local time, so the instant is the first, its fraction the last.
        "bgl": r"(?P<epoch_s>[0-9]{9,10}) [0-9]{4}\.[0-9]{2}\.[0-9]{2} [^ \n]+ "
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9]{2}\.[0-9]{2}\.[0-9]{2}\.(?P<fraction>[0-9]{1,6})",
        # 10/Oct/2000:13:55:36 -0700
        "clf": rf"{_DAY}/{_MONTH_NAME}/{_YEAR}[: ]{_DAYTIME}",
        # Sun Dec 04 04:47:44.123456 2005, Sun Dec  4 04:47:44 UTC 2005, Dec 4 04:47:44 2005
        "ctime": rf"(?:{_WEEKDAY} )?{_MONTH_NAME} {{1,2}}{_DAY} {_CLOCK}{_FRACTION}{OFFSET} {_YEAR}",
        # Dec 10 06:55:46, Dec 10 06:55:46.123, Dec 10 06:55:46 UTC
        "syslog": rf"{_MONTH_NAME}(?: {{1,2}}|-){_DAY} {_DAYTIME}",
        # Dec 10 2024 06:55:46, Jan 02, 2024 3:04:05 PM, Sun Jan 2, 2024 15:04:05
        "month_day_year": rf"(?:{_WEEKDAY} )?{_MONTH_NAME} {{1,2}}{_DAY},? {_YEAR},? {{1,2}}{_CLOCK}{_FRACTION}"
        rf"{_AMPM}{OFFSET}",
        # Sun, 06 Nov 1994 08:49:37 GMT, Tue 28 Jul 2024 10:00:00, 26 Jul 2024 10:00:00.123, 02-Jan-2024 10:00:00
        "day_month_year": rf"(?:{_WEEKDAY} )?{_DAY}[ -]{_MONTH_NAME}[ -]{_YEAR},?[ :T]{{1,2}}{_CLOCK}{_FRACTION}"
        rf"{_AMPM}{OFFSET}{_ZONE_NAME}",
        # 26 Jul 10:00:00.123 (Redis up to 3)
        "day_month": rf"{_DAY}[ -]{_MONTH_NAME} {_DAYTIME}",
        # 03-17 16:13:38.811 (Android)
        "month_day": rf"(?P<month>[0-9]{{2}})[-/](?P<day>[0-9]{{2}}) {_CLOCK}{_FRACTION}",
        # 10.30 16:49:06 (Proxifier)
        "dot_month_day": rf"(?P<month>[0-9]{{2}})\.(?P<day>[0-9]{{2}}) {_CLOCK}{_FRACTION}",
        # 240131 15:04:05.000000 (CockroachDB)
        "klog_year": r"(?P<year2>[0-9]{2})(?P<month>[0-9]{2})(?P<day>[0-9]{2}) "
        rf"{_CLOCK}{_FRACTION}",
        # 02Jan2024 15:04:05.678 (Minecraft Forge)
        "glued_month": rf"(?P<day>[0-9]{{2}}){_MONTH_NAME}{_YEAR} {_CLOCK}{_FRACTION}",
        # 0102 15:04:05.000000 (glog, klog)
        "klog": rf"(?P<month>[0-9]{{2}})(?P<day>[0-9]{{2}}) {_CLOCK}{_FRACTION}",
        # 2024 Jan 31 10:15:30.123
        "year_month_day": rf"{_YEAR}[ -]{_MONTH_NAME}[ -]{{1,2}}{_DAY} {_DAYTIME}",
        # 1286536309.586, 1286536309, 1286536309586, 1286536309586123, 1286536309586123456
        "epoch": r"(?P<epoch_s>[0-9]{9,11})(?:[.,](?P<fraction>[0-9]{1,9}))?|(?P<epoch_ms>[0-9]{12,14})(?:\.[0-9]+)?"
        r"|(?P<epoch_us>[0-9]{15,16})|(?P<epoch_ns>[0-9]{18,19})",
        # 3:04PM
        "kitchen": r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2}) ?(?P<ampm>[AaPp][Mm])",
        # 10:15:30.123
        "time_of_day": rf"{_CLOCK}{_FRACTION}{_AMPM}{OFFSET}",
    }.items()
}
"""By name. Where a syntax could be read as another, formats list the likelier one first."""
