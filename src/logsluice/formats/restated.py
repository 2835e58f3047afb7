"""Rare ways of writing a timestamp, each said again in a common one (ISO 8601, or seconds since the epoch).

``12/17/22, 10:31:29 PM MST.557710`` is ``2022-12-17 10:31:29.557710 PM MST``; what is then read is that.

A year of two digits is found by trying: of the readings that are dates and lie not after the day when the event was
seen, the latest year wins, then the order that is the commonest with such a separator. More than one makes it
ambiguous.

Sources: daemontools (TAI64N; its seconds run ten ahead of the epoch's, as multilog and svlogd write them),
Go's zap (epoch with an exponent), Oracle (DD-MON-RR), ISO 8601 (ordinal dates), Unicode CLDR (East Asian forms).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from logsluice.formats.localized import MARKER, MONTH_NAME, WEEKDAY, month_named
from logsluice.formats.zones import ABBREVIATION, OFFSET


class Restatement(NamedTuple):
    """A timestamp in a common syntax.

    Attributes:
        text: In one of :data:`COMMON`.
        ambiguous: Whether it may have been meant otherwise.
    """

    text: str
    ambiguous: bool = False


Restate = Callable[[Mapping[str, str | None], int], Restatement | None]
"""From the groups that matched, and when the event was seen (milliseconds since the epoch)."""

COMMON: Final = ("iso8601", "iso_ampm", "epoch")
"""The syntaxes that rare ones are restated in."""


@dataclass(frozen=True, slots=True)
class Rare:
    """A rare syntax: its regular expression, and how it is restated."""

    source: str
    restate: Restate


_TAI64_OFFSET: Final = 2**62 + 10
_EPOCH: Final = date(1970, 1, 1)
_CLOCK = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,:][0-9]{1,9})?)?"
_BLANK = r"[ \u00a0\u202f]"
_TAIL = rf"(?:{_BLANK}?(?:{MARKER}))?{OFFSET.replace('?P<offset>', '?:')}"
_YMD_SEPARATED = r"(?P<year>[0-9]{4})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})"


_CLOCK_FIRST = (
    rf"(?P<time>[0-9]{{1,2}}:[0-9]{{2}}:[0-9]{{2}}(?:[.,:][0-9]{{1,9}})?{_TAIL})(?:,? | - )(?:(?:on )?{WEEKDAY} )?"
)


def _two_digits(separator: str) -> str:
    part = "[0-9]{1,2}"
    return (
        rf"(?P<first>{part}){separator}(?P<second>{part}){separator}(?P<third>[0-9]{{2}})"
        rf"(?:,? {{1,2}}|[-:T_]| - )(?P<time>{_CLOCK}{_TAIL})"
    )


def _restate_two_digits(orders: tuple[str, ...]) -> Restate:
    def restate(parts: Mapping[str, str | None], reference_ms: int) -> Restatement | None:
        figures = [int(parts[name] or 0) for name in ("first", "second", "third")]
        seen = _day_of(reference_ms)
        dates = list(dict.fromkeys(_dates(figures, orders)))
        past = [day for day in dates if day <= seen] or dates
        if not past:
            return None
        latest = max(day.year for day in past)
        chosen = next(day for day in past if day.year == latest)
        return Restatement(f"{chosen.isoformat()} {parts['time']}", ambiguous=len(past) > 1)

    return restate


def _dates(figures: list[int], orders: tuple[str, ...]) -> Iterator[date]:
    for order in orders:
        part = dict(zip(order, figures, strict=True))
        try:
            yield date(_full_year(part["y"]), part["m"], part["d"])
        except ValueError:
            continue


def _day_of(reference_ms: int) -> date:
    """The day after that of the reference, for zones ahead of UTC."""
    try:
        return _EPOCH + timedelta(days=reference_ms // 86_400_000 + 1)
    except OverflowError:
        return date.max


def _full_year(written: int) -> int:
    return written if written > 99 else written + (2000 if written <= 68 else 1900)


def _restate_named(parts: Mapping[str, str | None], _reference_ms: int) -> Restatement | None:
    month = month_named(parts["month_name"] or "")
    year = parts["year2"]
    if month is None or year is None:
        return None
    clock = (parts["clock"] or "").replace(".", ":", 2)
    text = f"{_full_year(int(year))}-{month.number}-{parts['day']} {clock}{parts['tail']}"
    return Restatement(text, month.ambiguous)


def _restate_zone_fraction(parts: Mapping[str, str | None], reference_ms: int) -> Restatement | None:
    fraction = f".{parts['fraction']}"
    time = f"{parts['clock']}{fraction}{parts['marker'] or ''} {parts['abbreviation']}"
    return _restate_two_digits(("mdy", "dmy", "ymd"))({**parts, "time": time}, reference_ms)


def _restate_exponent(parts: Mapping[str, str | None], _reference_ms: int) -> Restatement | None:
    exponent = int(parts["exponent"] or 0)
    seconds = Decimal(f"{parts['digits']}e{exponent}")
    return Restatement(f"{seconds:.9f}") if seconds < Decimal(10) ** 11 else Restatement(f"{seconds:.0f}")


def _restate_tai64(parts: Mapping[str, str | None], _reference_ms: int) -> Restatement | None:
    seconds = int(parts["tai_s"] or "0", 16) - _TAI64_OFFSET
    nanos = int(parts["tai_ns"] or "0", 16)
    if not 0 <= seconds < 10**11 or nanos >= 10**9:
        return None
    return Restatement(f"{seconds:09}.{nanos:09}")


def _restate_ordinal(parts: Mapping[str, str | None], _reference_ms: int) -> Restatement | None:
    year, number = int(parts["year"] or 0), int(parts["ordinal"] or 0)
    try:
        day = date(year, 1, 1) + timedelta(days=number - 1)
    except (ValueError, OverflowError):
        return None
    return Restatement(f"{day.isoformat()} {parts['time']}") if day.year == year and number else None


def _restate_iso(parts: Mapping[str, str | None], _reference_ms: int) -> Restatement | None:
    year, month, day = parts["year"], parts["month"], parts["day"]
    if "time" in parts:
        return Restatement(f"{year}-{month}-{day} {parts['time']}")
    clock = ":".join(parts[name] or "00" for name in ("hour", "minute", "second"))
    marker = f" {parts['marker']}" if parts.get("marker") else ""
    return Restatement(f"{year}-{month}-{day} {clock}{parts['fraction'] or ''}{marker}{parts['tail'] or ''}")


def _restate_clock_first(parts: Mapping[str, str | None], _reference_ms: int) -> Restatement | None:
    ambiguous = False
    if name := parts.get("month_name"):
        month = month_named(name)
        if month is None:
            return None
        number, ambiguous = month.number, month.ambiguous
    else:
        number = int(parts.get("month") or 0)
    return Restatement(f"{parts['year']}-{number}-{parts['day']} {parts['time']}", ambiguous)


def _restate_dotnet(parts: Mapping[str, str | None], _reference_ms: int) -> Restatement | None:
    millis = int(parts["millis"] or 0)
    try:
        moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=millis)
    except OverflowError:
        return None
    return Restatement(moment.isoformat())


_EAST_ASIAN_CLOCK = (
    r"(?:[(（]?[日月火水木金土一二三四五六七월화수목금토星期周週曜요]{1,4}[)）]?,? ?)?"
    r"(?P<marker>上午|下午|午前|午後|오전|오후)? ?"
    r"(?P<hour>[0-9]{1,2})(?::|時 ?|时 ?|点 ?|시 ?)(?P<minute>[0-9]{2})(?:(?::|分 ?|분 ?)(?P<second>[0-9]{2})"
    rf"(?P<fraction>[.,][0-9]{{1,9}})?)?[秒초분分]?(?P<tail>{OFFSET.replace('?P<offset>', '?:')})"
)

RESTATED: Final[dict[str, Rare]] = {
    # 07/12/24 10:11:12.345678, 24/07/12 10:11:12
    "slash_two_digits": Rare(_two_digits("/"), _restate_two_digits(("mdy", "dmy", "ymd"))),
    # 12.07.24 10:11:12
    "dot_two_digits": Rare(_two_digits(r"\."), _restate_two_digits(("dmy", "ymd"))),
    # 24-07-12 10:11:12, 12-07-24 10:11:12
    "dash_two_digits": Rare(_two_digits("-"), _restate_two_digits(("ymd", "dmy", "mdy"))),
    # Sunday, 06-Nov-94 08:49:37 GMT (RFC 850), 12-JUL-24 10.11.12.345678 AM +02:00 (Oracle)
    "named_two_digits": Rare(
        rf"(?:{WEEKDAY} )?(?P<day>[0-9]{{1,2}})[ /-](?P<month_name>{MONTH_NAME})[ /-](?P<year2>[0-9]{{2}})[ :]"
        rf"(?P<clock>[0-9]{{1,2}}[:.][0-9]{{2}}[:.][0-9]{{2}}(?:[.,:][0-9]{{1,9}})?)(?P<tail>{_TAIL})",
        _restate_named,
    ),
    # 12/17/22, 10:31:29 PM MST.557710
    "zone_fraction": Rare(
        r"(?P<first>[0-9]{1,2})/(?P<second>[0-9]{1,2})/(?P<third>[0-9]{4}|[0-9]{2}),? "
        rf"(?P<clock>[0-9]{{1,2}}:[0-9]{{2}}:[0-9]{{2}})(?P<marker>{_BLANK}?(?:{MARKER}))? "
        rf"(?P<abbreviation>{ABBREVIATION})\.(?P<fraction>[0-9]{{1,9}})",
        _restate_zone_fraction,
    ),
    # 1.6656692709539523e+09
    "epoch_exponent": Rare(r"(?P<digits>[0-9]\.[0-9]{1,24})[eE]\+?(?P<exponent>0?9|1[0-9])", _restate_exponent),
    # @4000000037c219bf2ef02e94
    "tai64n": Rare(r"@(?P<tai_s>[0-9a-f]{16})(?P<tai_ns>[0-9a-f]{8})?", _restate_tai64),
    # 2024-194T10:11:12Z, 2024/194 10:11:12, 2024.194.10:11:12
    "ordinal": Rare(
        rf"(?P<year>[0-9]{{4}})[-./](?P<ordinal>[0-9]{{3}})[T :./-](?P<time>{_CLOCK}{_TAIL})", _restate_ordinal
    ),
    # 2024-07-12T101112Z
    "iso_basic_clock": Rare(
        rf"{_YMD_SEPARATED}[T_ -](?P<hour>[0-9]{{2}})(?P<minute>[0-9]{{2}})(?P<second>[0-9]{{2}})"
        rf"(?P<fraction>[.,][0-9]{{1,9}})?(?P<tail>{_TAIL})",
        _restate_iso,
    ),
    # 2024:07:12-10:11:12
    "colon_ymd": Rare(
        rf"(?P<year>[0-9]{{4}}):(?P<month>[0-9]{{2}}):(?P<day>[0-9]{{2}})[ -](?P<time>{_CLOCK}{_TAIL})", _restate_iso
    ),
    # 12.7.2024 klo 10.11.12
    "dot_dmy_dotted": Rare(
        r"(?P<day>[0-9]{1,2})\.(?P<month>[0-9]{1,2})\.(?P<year>[0-9]{4}),? (?:klo |kl\. )?"
        rf"(?P<hour>[0-9]{{1,2}})\.(?P<minute>[0-9]{{2}})\.(?P<second>[0-9]{{2}})"
        rf"(?P<fraction>[.,][0-9]{{1,9}})?(?P<tail>{_TAIL})",
        _restate_iso,
    ),
    # 2024年7月12日 下午3:04:05, 2024. 7. 12. 오후 3:04:05, 2024/7/12 午後3:04:05
    "east_asian": Rare(
        r"(?P<year>[0-9]{4})(?:年 ?|년 ?|[-/]|\. ?)(?P<month>[0-9]{1,2})(?:月 ?|월 ?|[-/]|\. ?)(?P<day>[0-9]{1,2})"
        rf"(?:日|일|\.)? ?{_EAST_ASIAN_CLOCK}",
        _restate_iso,
    ),
    # 10:11:12.345 2024-07-12
    "clock_iso": Rare(rf"{_CLOCK_FIRST}{_YMD_SEPARATED}", _restate_clock_first),
    # 16:37:22.849 AEDT Sun Jul 7 2024
    "clock_mdy": Rare(
        rf"{_CLOCK_FIRST}(?P<month_name>{MONTH_NAME}) {{1,2}}(?P<day>[0-9]{{1,2}}),? (?P<year>[0-9]{{4}})",
        _restate_clock_first,
    ),
    # 10:11:12 12 Jul 2024
    "clock_dmy": Rare(
        rf"{_CLOCK_FIRST}(?P<day>[0-9]{{1,2}})[ /-](?P<month_name>{MONTH_NAME})[ /-](?P<year>[0-9]{{4}})",
        _restate_clock_first,
    ),
    # /Date(1720778472345+0200)/ (.NET)
    "dotnet": Rare(r"\\?/Date\((?P<millis>-?[0-9]{1,15})(?:[+-][0-9]{4})?\)\\?/", _restate_dotnet),
}
"""By name."""
