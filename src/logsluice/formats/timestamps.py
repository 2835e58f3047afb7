"""Timestamps as written in logs, read into microseconds since the epoch (UTC).

Two implementations of one meaning: :func:`parse_timestamp` for one text, :func:`parse_timestamps` for a Polars
column. Syntaxes are tried in order; the first that matches the whole text with a date that exists wins.

- Fractions beyond the microsecond are cut off. Second 60 (a leap second) is the first second of the next minute.
- Two-digit years up to 68 are 20xx, others 19xx (POSIX).
- Without an offset, the configured zone holds. Of a local time that occurs twice the first is meant; one that
  the clocks skipped is read with the offset from before (``fold=0`` in :mod:`zoneinfo`).
- Without a year, the latest year is taken in which the date exists and is not after the reference; without a date,
  the latest such day.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from logsluice.formats.syntaxes import AMBIGUOUS_ZONES, MONTHS, SYNTAXES, ZONES, Syntax

_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND
_QUARTER_HOUR: Final = 900 * _SECOND
_EARLIEST: Final = -62_135_596_800 * _SECOND
_LATEST: Final = 253_402_300_800 * _SECOND - 1
"""Years 1 to 9999, as Python, Arrow and Elasticsearch all know them."""
_EPOCH: Final = datetime(1970, 1, 1)
_BACK: Final = (1, 0, -1, -2)
"""Years (or days) from the reference's own to try. A zone can put the date one further on either side."""

FEW_ROWS = 250
"""Columns of no more rows are read text by text: that takes less time than to set out a column's expressions."""


def parse_timestamp(text: str, syntaxes: tuple[str, ...], reference_ms: int, zone: str) -> int | None:
    """Read one timestamp.

    Args:
        text: The timestamp and nothing else.
        syntaxes: Names out of :data:`~logsluice.formats.syntaxes.SYNTAXES`.
        reference_ms: When the event was seen, milliseconds since the epoch.
        zone: IANA name of the zone that holds where the text names none.

    Returns:
        Microseconds since the epoch, or None where no syntax fits or the date does not exist.
    """
    for name in syntaxes:
        match = SYNTAXES[name].python.fullmatch(text)
        if match is not None:
            instant = _instant(match.groupdict(), SYNTAXES[name], reference_ms, zone)
            if instant is not None:
                return instant
    return None


def _instant(parts: dict[str, str | None], syntax: Syntax, reference_ms: int, zone: str) -> int | None:
    if "epoch_s" in syntax.groups:
        return _in_range(_from_epoch(parts))
    clock = _clock(parts)
    if clock is None:
        return None
    offset = parts.get("offset")
    seconds_east = _offset_seconds(offset) if offset else None
    if offset and seconds_east is None and offset.strip() not in AMBIGUOUS_ZONES:
        return None

    def to_utc(naive: int) -> int:
        if seconds_east is not None:
            return naive - seconds_east * _SECOND
        return naive - _zone_offset(parts.get("zone"), zone, naive // _QUARTER_HOUR)

    reference_ms = min(max(reference_ms, _EARLIEST // 1000), _LATEST // 1000)
    limit = reference_ms * 1000 + 999
    if "day" not in syntax.groups:
        today = reference_ms // 86_400_000
        return _in_range(_latest(limit, (to_utc((today + back) * _DAY + clock) for back in _BACK)))
    month, day = _month(parts), int(parts["day"] or 0)
    if month is None:
        return None
    if "year" in syntax.groups:
        days = _days(int(parts["year"] or 0), month, day)
    elif "year2" in syntax.groups:
        days = _days(_full_year(int(parts["year2"] or 0)), month, day)
    else:
        this_year = _year_of_day(reference_ms // 86_400_000)
        years = [this_year + back for back in _BACK]
        if month == 2 and day == 29:
            years = [_leap_year_up_to(year) for year in years]
        dates = (_days(year, month, day) for year in years)
        return _in_range(_latest(limit, (to_utc(date * _DAY + clock) for date in dates if date is not None)))
    return None if days is None else _in_range(to_utc(days * _DAY + clock))


def _from_epoch(parts: dict[str, str | None]) -> int | None:
    if seconds := parts.get("epoch_s"):
        return int(seconds) * _SECOND + _fraction(parts.get("fraction"))
    if millis := parts.get("epoch_ms"):
        return int(millis) * 1000
    if micros := parts.get("epoch_us"):
        return int(micros)
    nanos = int(parts.get("epoch_ns") or 0)
    return nanos // 1000 if nanos < 2**63 else None


def _clock(parts: dict[str, str | None]) -> int | None:
    """Microseconds since midnight, or None where the clock cannot show it."""
    hour, minute, second = (int(parts.get(part) or 0) for part in ("hour", "minute", "second"))
    ampm = parts.get("ampm")
    if ampm:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if ampm[0] in "pP" else 0)
    if hour > 23 or minute > 59 or second > 60:
        return None
    micros = int(parts.get("millis") or 0) * 1000 + _fraction(parts.get("fraction"))
    return (hour * 3600 + minute * 60 + second) * _SECOND + micros


def _fraction(digits: str | None) -> int:
    return int(digits[:6].ljust(6, "0")) if digits else 0


def _month(parts: dict[str, str | None]) -> int | None:
    name = parts.get("month_name")
    return int(parts["month"] or 0) if name is None else MONTHS.get(name.lower())


def _full_year(two_digits: int) -> int:
    return two_digits + (2000 if two_digits <= 68 else 1900)


def _days(year: int, month: int, day: int) -> int | None:
    """Days since the epoch (proleptic Gregorian), or None where there is no such date."""
    if not (1 <= year <= 9999 and 1 <= month <= 12 and 1 <= day <= 31):
        return None
    try:
        return datetime(year, month, day).toordinal() - 719_163
    except ValueError:
        return None


def _year_of_day(day: int) -> int:
    return datetime.fromordinal(day + 719_163).year


def _leap_year_up_to(year: int) -> int:
    leap = year - year % 4
    return leap - 4 if leap % 100 == 0 and leap % 400 != 0 else leap


def _latest(limit: int, candidates: object) -> int | None:
    return next((instant for instant in candidates if instant <= limit), None)  # type: ignore[attr-defined]


def _in_range(instant: int | None) -> int | None:
    return instant if instant is not None and _EARLIEST <= instant <= _LATEST else None


@lru_cache(maxsize=65_536)
def _offset_seconds(text: str) -> int | None:
    """Seconds east of UTC of ``Z``, ``+02``, ``-0700``, ``+05:30`` or an abbreviation of one meaning."""
    text = text.strip()
    if text in ("Z", "z"):
        return 0
    if text[0] not in "+-":
        return ZONES.get(text)
    digits = text[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 23 or minutes > 59:
        return None
    return (hours * 3600 + minutes * 60) * (-1 if text[0] == "-" else 1)


@lru_cache(maxsize=65_536)
def _zone_offset(named: str | None, zone: str, quarter: int) -> int:
    """Microseconds east of UTC of a local time, given in quarter-hours since the epoch.

    Clocks have only been changed on quarter-hours since zones exist by law.
    """
    tz = _zone(named, zone)
    try:
        offset = (_EPOCH + timedelta(minutes=15 * quarter)).replace(tzinfo=tz).utcoffset()
    except OverflowError:
        return 0
    return (offset or timedelta()) // timedelta(microseconds=1)


@lru_cache(maxsize=1024)
def _zone(named: str | None, zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(named or zone)
    except (KeyError, ValueError, OSError):
        return ZoneInfo(zone)


def parse_timestamps(texts: pl.Series, syntaxes: tuple[str, ...], reference_ms: pl.Series, zone: str) -> pl.Series:
    """Read a column of timestamps; each answer is that of :func:`parse_timestamp`.

    Args:
        texts: The timestamps (String); null gives null.
        syntaxes: Names out of :data:`~logsluice.formats.syntaxes.SYNTAXES`.
        reference_ms: When each event was seen, milliseconds since the epoch (Int64, no nulls).
        zone: IANA name of the zone that holds where a text names none.

    Returns:
        Int64 microseconds since the epoch, null where no syntax fits or the date does not exist.
    """
    if len(texts) <= FEW_ROWS:
        found = [
            None if text is None else parse_timestamp(text, syntaxes, reference, zone)
            for text, reference in zip(texts.to_list(), reference_ms.to_list(), strict=True)
        ]
        return pl.Series(found, dtype=pl.Int64)
    todo = pl.DataFrame({"text": texts.rename("text"), "reference": reference_ms.cast(pl.Int64)})
    answers = pl.repeat(None, len(texts), dtype=pl.Int64, eager=True)
    rows: pl.Series | None = None
    for name in syntaxes:
        instants = _instants(todo, SYNTAXES[name], zone)
        answers = instants if rows is None else answers.scatter(rows, instants)
        missing = (instants.is_null() & todo["text"].is_not_null()).arg_true()
        if missing.is_empty():
            break
        rows = missing if rows is None else rows.gather(missing)
        todo = todo[missing]
    return answers


def _instants(todo: pl.DataFrame, syntax: Syntax, zone: str) -> pl.Series:
    parts = todo["text"].str.extract_groups(syntax.rust).struct.unnest()
    frame = parts.with_columns(todo["reference"].clip(_EARLIEST // 1000, _LATEST // 1000))
    if "epoch_s" in syntax.groups:
        instant = _epoch_expression(syntax)
        return _kept_in_range(frame.select(instant=instant))
    frame = frame.with_columns(clock=_clock_expression(syntax))
    frame, fixed = _with_offset(frame, syntax, zone)
    if "day" not in syntax.groups:
        today = pl.col("reference") // 86_400_000
        naive = [((today + back) * _DAY + pl.col("clock")) for back in _BACK]
        return _kept_in_range(_latest_of(frame, naive, fixed, zone))
    if "month_name" in syntax.groups:
        month = pl.col("month_name").str.to_lowercase().replace_strict(MONTHS, default=None, return_dtype=pl.Int64)
    else:
        month = _number("month")
    frame = frame.with_columns(month=month, day=_number("day"))
    if "year" in syntax.groups or "year2" in syntax.groups:
        year = _number("year") if "year" in syntax.groups else _full_year_expression()
        frame = frame.with_columns(naive=_days_expression(year) * _DAY + pl.col("clock"))
        return _kept_in_range(frame.select(instant=pl.col("naive") - _zone_shift(frame, fixed, zone)))
    this_year = pl.from_epoch(pl.col("reference"), time_unit="ms").dt.year().cast(pl.Int64)
    frame = frame.with_columns(this_year=this_year)
    naive = [_days_expression(_existing_year(pl.col("this_year") + back)) * _DAY + pl.col("clock") for back in _BACK]
    return _kept_in_range(_latest_of(frame, naive, fixed, zone))


def _number(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Int64, strict=False)


def _fraction_expression(name: str) -> pl.Expr:
    digits = pl.col(name).str.slice(0, 6).str.pad_end(6, "0")
    return digits.cast(pl.Int64, strict=False).fill_null(0)


def _epoch_expression(syntax: Syntax) -> pl.Expr:
    seconds = _number("epoch_s") * _SECOND + _fraction_expression("fraction")
    if "epoch_ms" not in syntax.groups:
        return seconds
    return pl.coalesce(seconds, _number("epoch_ms") * 1000, _number("epoch_us"), _number("epoch_ns") // 1000)


def _clock_expression(syntax: Syntax) -> pl.Expr:
    written, minute = _number("hour"), _number("minute")
    second = _number("second").fill_null(0) if "second" in syntax.groups else pl.lit(0)
    hour = written
    if "ampm" in syntax.groups:
        afternoon = pl.when(pl.col("ampm").str.slice(0, 1).is_in(["p", "P"])).then(12).otherwise(0)
        twelve_hours = pl.when(written.is_between(1, 12)).then(written % 12 + afternoon)
        hour = pl.when(pl.col("ampm").is_null()).then(written).otherwise(twelve_hours)
    micros = (hour * 3600 + minute * 60 + second) * _SECOND
    if "fraction" in syntax.groups:
        micros += _fraction_expression("fraction")
    if "millis" in syntax.groups:
        micros += _number("millis") * 1000
    return pl.when((hour <= 23) & (minute <= 59) & (second <= 60)).then(micros)


def _full_year_expression() -> pl.Expr:
    year = _number("year2")
    return year + pl.when(year <= 68).then(2000).otherwise(1900)


def _is_leap(year: pl.Expr) -> pl.Expr:
    return (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))


def _existing_year(year: pl.Expr) -> pl.Expr:
    leap = year - year % 4
    leap = pl.when((leap % 100 == 0) & (leap % 400 != 0)).then(leap - 4).otherwise(leap)
    return pl.when((pl.col("month") == 2) & (pl.col("day") == 29)).then(leap).otherwise(year)


def _days_expression(year: pl.Expr) -> pl.Expr:
    """Days since the epoch of ``year``, ``month``, ``day``; null where there is no such date.

    Counts from 1 March, so that the leap day is a year's last and the months' lengths follow one line.
    """
    month, day = pl.col("month"), pl.col("day")
    late = month <= 2
    counted = year - late.cast(pl.Int64)
    from_march = (month + 9) % 12
    days = counted * 365 + counted // 4 - counted // 100 + counted // 400 + (153 * from_march + 2) // 5 + day - 719_469
    length = pl.when(month == 2).then(28 + _is_leap(year).cast(pl.Int64)).otherwise(30 + ((month + month // 8) % 2))
    return pl.when(year.is_between(1, 9999) & month.is_between(1, 12) & (day >= 1) & (day <= length)).then(days)


def _with_offset(frame: pl.DataFrame, syntax: Syntax, zone: str) -> tuple[pl.DataFrame, bool]:
    """Add ``shift``: microseconds east of UTC where the text tells, null where the zone has to.

    Returns:
        The frame, and whether every row's shift is known.
    """
    shift = pl.Series("shift", [None], dtype=pl.Int64).new_from_index(0, len(frame))
    if "offset" in syntax.groups and frame["offset"].null_count() < len(frame):
        spellings = frame["offset"].drop_nulls().unique().to_list()
        seconds = {text: _offset_seconds(text) for text in spellings if text}
        wrong = [text for text, east in seconds.items() if east is None and text.strip() not in AMBIGUOUS_ZONES]
        micros = {text: east * _SECOND for text, east in seconds.items() if east is not None}
        if wrong:
            frame = frame.with_columns(clock=pl.when(~pl.col("offset").is_in(wrong).fill_null(False)).then("clock"))
        if micros:
            shift = frame["offset"].replace_strict(micros, default=None, return_dtype=pl.Int64).rename("shift")
    named = "zone" in syntax.groups and frame["zone"].null_count() < len(frame)
    if zone == "UTC" and not named:
        shift = shift.fill_null(0)
    return frame.with_columns(shift), shift.null_count() == 0


def _zone_shift(frame: pl.DataFrame, fixed: bool, zone: str) -> pl.Expr:
    """Microseconds east of UTC of the column ``naive``, through zoneinfo once per distinct quarter-hour."""
    if fixed:
        return pl.col("shift")
    named = pl.col("zone") if "zone" in frame.columns else pl.lit(None, dtype=pl.String)
    keys = frame.select(
        pl.col("shift"),
        named=named,
        quarter=pl.when(pl.col("shift").is_null()).then(pl.col("naive") // _QUARTER_HOUR),
    )
    distinct = keys.select("named", "quarter").unique().drop_nulls("quarter")
    offsets = [_zone_offset(name, zone, quarter) for name, quarter in distinct.iter_rows()]
    looked_up = keys.join(
        distinct.with_columns(pl.Series("east", offsets, dtype=pl.Int64)),
        on=["named", "quarter"],
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
    return pl.lit(looked_up.select(pl.coalesce("shift", "east")).to_series())


def _latest_of(frame: pl.DataFrame, candidates: list[pl.Expr], fixed: bool, zone: str) -> pl.DataFrame:
    """The first candidate, given latest first, that is not after the reference."""
    limit = pl.col("reference") * 1000 + 999
    instants: list[pl.Series] = []
    for index, candidate in enumerate(candidates):
        dated = frame.with_columns(naive=candidate)
        instant = pl.col("naive") - _zone_shift(dated, fixed, zone)
        instants.append(dated.select(pl.when(instant <= limit).then(instant).alias(f"candidate_{index}")).to_series())
    return pl.DataFrame(instants).select(instant=pl.coalesce(pl.all()))


def _kept_in_range(frame: pl.DataFrame) -> pl.Series:
    kept: Callable[[pl.Expr], pl.Expr] = lambda instant: pl.when(  # noqa: E731
        instant.is_between(_EARLIEST, _LATEST)
    ).then(instant)
    return frame.select(instant=kept(pl.col("instant"))).to_series()
