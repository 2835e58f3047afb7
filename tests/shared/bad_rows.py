"""Rows of a CSV log that cannot be read, twenty kinds of them, each with what is said of it."""

from __future__ import annotations

from typing import NamedTuple

HEADER = "timestamp,log_level,message,ip,service"
GOOD = "2026-11-22 10:15:30,ERROR,boom,10.0.0.1,auth"


class BadRow(NamedTuple):
    """What is written, and why it is set aside."""

    text: str
    reason: str


UNQUOTED = [
    BadRow("2026-11-22 10:15:30,ERROR,boom", "has 3 columns, not 5"),
    BadRow("just some words", "has 1 column, not 5"),
    BadRow("2026-11-22 10:15:30,ERROR,boom, and more,10.0.0.1,auth", "has 6 columns, not 5"),
    BadRow(",ERROR,boom,10.0.0.1,auth", "timestamp is empty"),
    BadRow("   ,ERROR,boom,10.0.0.1,auth", "timestamp is empty"),
    BadRow("yesterday,ERROR,boom,10.0.0.1,auth", "timestamp 'yesterday' is no date and time"),
    BadRow("2026-02-30 10:15:30,ERROR,boom,10.0.0.1,auth", "timestamp '2026-02-30 10:15:30' is no date and time"),
    BadRow("2026-11-22 25:15:30,ERROR,boom,10.0.0.1,auth", "timestamp '2026-11-22 25:15:30' is no date and time"),
    BadRow("2026-11-22,ERROR,boom,10.0.0.1,auth", "timestamp '2026-11-22' is no date and time"),
    BadRow("1e9,ERROR,boom,10.0.0.1,auth", "timestamp '1e9' is no date and time"),
    BadRow("2026-11-22 10:15:30,,boom,10.0.0.1,auth", "log_level is empty"),
    BadRow("2026-11-22 10:15:30,LOUD,boom,10.0.0.1,auth", "log_level 'LOUD' is no level"),
    BadRow("2026-11-22 10:15:30,17,boom,10.0.0.1,auth", "log_level '17' is no level"),
    BadRow("2026-11-22 10:15:30,ERROR,,10.0.0.1,auth", "message is empty"),
    BadRow("2026-11-22 10:15:30,ERROR,bo\x00om,10.0.0.1,auth", "has a NUL character in it"),
    BadRow("Timestamp,LOG_LEVEL,message,ip,service", "repeats the header"),
    BadRow(",,,,", "timestamp is empty"),
]
QUOTED = [
    BadRow('2026-11-22 10:15:30,ERROR,"boom,10.0.0.1,auth', "a quote is opened and never closed"),
    BadRow('2026-11-22 10:15:30,ERROR,"boom" loud,10.0.0.1,auth', "there is text behind a closing quote"),
    BadRow('2026-11-22 10:15:30,ERROR,"bo\r\rom,10.0.0.1","auth" x', "there is text behind a closing quote"),
    BadRow('"2026-11-22 10:15:30","ERROR","",10.0.0.1,auth', "message is empty"),
    BadRow('"2026-11-22 10:15:30","ERROR","a ""quote""","10.0.0.1","auth","more"', "has 6 columns, not 5"),
]
KINDS = UNQUOTED + QUOTED


def with_good_rows(rows: list[BadRow]) -> tuple[str, list[tuple[int, str, str]]]:
    """A CSV log in which good rows stand between bad ones, and the bad ones' lines, reasons and texts."""
    lines = [HEADER]
    expected = []
    for row in rows:
        lines += [GOOD, row.text]
        expected.append((len(lines), row.reason, row.text))
    return "\n".join([*lines, GOOD]) + "\n", expected
