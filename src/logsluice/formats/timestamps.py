"""Timestamps as written in logs, read into microseconds since the epoch (UTC).

Two implementations of one meaning: :func:`parse_timestamp` for one text, :func:`parse_timestamps` for a Polars
column. Syntaxes are tried in order; the first that matches the whole text with a date that exists wins.

- Fractions beyond the microsecond are cut off. Second 60 (a leap second) is the first second of the next minute.
- Two-digit years up to 68 are 20xx, others 19xx (POSIX).
- Month before day between slashes, day before month between dashes and dots, where the syntaxes to try leave it open.
- Without an offset, the configured zone holds. Of a local time that occurs twice the first is meant; one that
  the clocks skipped is read with the offset from before (``fold=0`` in :mod:`zoneinfo`).
- Without a year, the latest year is taken in which the date exists and is not after the reference; without a date,
  the latest such day.

What was not certain is remarked on: see :data:`ZONE_UNKNOWN`, :data:`AMBIGUOUS`, :data:`DATELESS`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

import polars as pl

from logsluice.formats.localized import MONTHS, is_afternoon, month_named
from logsluice.formats.restated import COMMON
from logsluice.formats.syntaxes import MIRRORED, PLAINEST, SYNTAXES, Syntax
from logsluice.formats.zones import is_ambiguous, offset_seconds, zone_named

_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND
_QUARTER_HOUR: Final = 900 * _SECOND
_EARLIEST: Final = -62_135_596_800 * _SECOND
_LATEST: Final = 253_402_300_800 * _SECOND - 1
"""Years 1 to 9999, as Python, Arrow and Elasticsearch all know them."""
_EPOCH: Final = datetime(1970, 1, 1)
_BACK: Final = (1, 0, -1, -2)
"""Years (or days) from the reference's own to try. A zone can put the date one further on either side."""

ZONE_UNKNOWN: Final = 1
"""The text names a zone that is not known or one of several, so that the configured zone was taken."""
AMBIGUOUS: Final = 2
"""The order of day, month and year, or the language of the month, could be another one."""
DATELESS: Final = 4
"""The text has no date."""

_PLAIN_ISO: Final = (
    r"\A[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.,][0-9]{1,9})?"
)

FEW_ROWS = 250
"""Columns of no more rows are read text by text: that takes less time than to set out a column's expressions."""


class Reading(NamedTuple):
    """What a timestamp says.

    Attributes:
        instant: Microseconds since the epoch.
        remarks: :data:`ZONE_UNKNOWN`, :data:`AMBIGUOUS`, :data:`DATELESS` added up, 0 where nothing is uncertain.
    """

    instant: int
    remarks: int


class Readings(NamedTuple):
    """What a column of timestamps says.

    Attributes:
        instants: Int64 microseconds since the epoch, null where no syntax fits or the date does not exist.
        remarks: UInt8, as those of :class:`Reading`, 0 where there is no instant.
    """

    instants: pl.Series
    remarks: pl.Series


def parse_timestamp(text: str, syntaxes: tuple[str, ...], reference_ms: int, zone: str) -> int | None:
    """The instant alone of :func:`read_timestamp`."""
    reading = read_timestamp(text, syntaxes, reference_ms, zone)
    return None if reading is None else reading.instant


def read_timestamp(text: str, syntaxes: tuple[str, ...], reference_ms: int, zone: str) -> Reading | None:
    """Read one timestamp.

    Args:
        text: The timestamp and nothing else.
        syntaxes: Names out of :data:`~logsluice.formats.syntaxes.SYNTAXES`.
        reference_ms: When the event was seen, milliseconds since the epoch.
        zone: IANA name of the zone that holds where the text names none.

    Returns:
        None where no syntax fits or the date does not exist.
    """
    for name in syntaxes:
        syntax = SYNTAXES[name]
        match = syntax.python.fullmatch(text)
        if match is None:
            continue
        parts = match.groupdict()
        if syntax.restate is not None:
            reading = _restated(parts, syntax, reference_ms, zone)
        else:
            reading = _reading(parts, syntax, reference_ms, zone)
            if reading is not None and MIRRORED.get(name) in syntaxes and _could_be_mirrored(parts):
                reading = reading._replace(remarks=reading.remarks | AMBIGUOUS)
        if reading is not None:
            return reading
    return None


def _restated(parts: dict[str, str | None], syntax: Syntax, reference_ms: int, zone: str) -> Reading | None:
    said = syntax.restate(parts, reference_ms) if syntax.restate is not None else None
    reading = None if said is None else read_timestamp(said.text, COMMON, reference_ms, zone)
    if reading is not None and said is not None and said.ambiguous:
        return reading._replace(remarks=reading.remarks | AMBIGUOUS)
    return reading


def _could_be_mirrored(parts: dict[str, str | None]) -> bool:
    month, day = int(parts["month"] or 0), int(parts["day"] or 0)
    return day <= 12 and month != day


def _reading(parts: dict[str, str | None], syntax: Syntax, reference_ms: int, zone: str) -> Reading | None:
    remarks = 0 if "epoch_s" in syntax.groups else _remarks(parts, syntax)
    instant = _instant(parts, syntax, reference_ms, zone)
    return None if instant is None else Reading(instant, remarks)


def _remarks(parts: dict[str, str | None], syntax: Syntax) -> int:
    remarks = 0 if "day" in syntax.groups else DATELESS
    offset, named = parts.get("offset"), parts.get("zone")
    if offset:
        if offset_seconds(offset) is None:
            remarks |= ZONE_UNKNOWN
    elif named and zone_named(named) is None:
        remarks |= ZONE_UNKNOWN
    name = parts.get("month_name")
    if name and (month := month_named(name)) is not None and month.ambiguous:
        remarks |= AMBIGUOUS
    return remarks


def _instant(parts: dict[str, str | None], syntax: Syntax, reference_ms: int, zone: str) -> int | None:
    if "epoch_s" in syntax.groups:
        return _in_range(_from_epoch(parts))
    clock = _clock(parts)
    if clock is None:
        return None
    offset = parts.get("offset")
    seconds_east = offset_seconds(offset, iso_date=syntax.iso_date) if offset else None
    if offset and seconds_east is None and not is_ambiguous(offset):
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
        hour = hour % 12 + (12 if is_afternoon(ampm) else 0)
    if hour > 23 or minute > 59 or second > 60:
        return None
    micros = int(parts.get("millis") or 0) * 1000 + _fraction(parts.get("fraction"))
    return (hour * 3600 + minute * 60 + second) * _SECOND + micros


def _fraction(digits: str | None) -> int:
    return int(digits[:6].ljust(6, "0")) if digits else 0


def _month(parts: dict[str, str | None]) -> int | None:
    name = parts.get("month_name")
    if name is None:
        return int(parts["month"] or 0)
    month = month_named(name)
    return None if month is None else month.number


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
def _zone_offset(named: str | None, zone: str, quarter: int) -> int:
    """Microseconds east of UTC of a local time, given in quarter-hours since the epoch.

    Clocks have only been changed on quarter-hours since zones exist by law.
    """
    tz = (zone_named(named) if named else None) or zone_named(zone)
    try:
        offset = (_EPOCH + timedelta(minutes=15 * quarter)).replace(tzinfo=tz).utcoffset()
    except OverflowError:
        return 0
    return (offset or timedelta()) // timedelta(microseconds=1)


def parse_timestamps(texts: pl.Series, syntaxes: tuple[str, ...], reference_ms: pl.Series, zone: str) -> pl.Series:
    """The instants alone of :func:`read_timestamps`."""
    return read_timestamps(texts, syntaxes, reference_ms, zone).instants


def read_timestamps(texts: pl.Series, syntaxes: tuple[str, ...], reference_ms: pl.Series, zone: str) -> Readings:
    """Read a column of timestamps; each answer is that of :func:`read_timestamp`.

    Args:
        texts: The timestamps (String); null gives null.
        syntaxes: Names out of :data:`~logsluice.formats.syntaxes.SYNTAXES`.
        reference_ms: When each event was seen, milliseconds since the epoch (Int64, no nulls).
        zone: IANA name of the zone that holds where a text names none.
    """
    if syntaxes[0] != "iso8601" or len(texts) <= FEW_ROWS // 8:
        return _by_syntaxes(texts, syntaxes, reference_ms, zone)
    plain = _plain_iso(texts, zone)
    rows = (plain.is_null() & texts.is_not_null()).arg_true()
    if rows.is_empty():
        return Readings(plain, pl.repeat(0, len(texts), dtype=pl.UInt8, eager=True))
    others = _by_syntaxes(texts.gather(rows), syntaxes, reference_ms.gather(rows), zone)
    remarks = pl.repeat(0, len(texts), dtype=pl.UInt8, eager=True)
    return Readings(plain.scatter(rows, others.instants), remarks.scatter(rows, others.remarks))


def _plain_iso(texts: pl.Series, zone: str) -> pl.Series:
    """The instants of texts that are written in the commonest way, with ``Z`` or, where UTC holds, without."""
    seconds = (
        texts.str.head(19)
        .str.replace(" ", "T", literal=True)
        .str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False)
    )
    fraction = texts.str.slice(20, 6).str.strip_suffix("Z").str.pad_end(6, "0").cast(pl.Int64, strict=False)
    plain = texts.str.contains(_PLAIN_ISO + (r"Z?\z" if zone == "UTC" else r"Z\z"))
    return (seconds.cast(pl.Int64) + fraction).zip_with(plain, pl.Series([None], dtype=pl.Int64))


def _by_syntaxes(texts: pl.Series, syntaxes: tuple[str, ...], reference_ms: pl.Series, zone: str) -> Readings:
    if len(texts) <= FEW_ROWS:
        return _one_by_one(texts, syntaxes, reference_ms, zone)
    if _are_dated(syntaxes) and len(distinct := texts.unique()) <= len(texts) // 2:
        read = _by_syntaxes(distinct, syntaxes, reference_ms.head(len(distinct)), zone)
        return Readings(*(texts.replace_strict(distinct, said, return_dtype=said.dtype) for said in read))
    todo = pl.DataFrame({"text": texts.rename("text"), "reference": reference_ms.cast(pl.Int64)})
    answers = pl.repeat(None, len(texts), dtype=pl.Int64, eager=True)
    remarks = pl.repeat(0, len(texts), dtype=pl.UInt8, eager=True)
    rows: pl.Series | None = None
    tried = ((name, syntax) for name in syntaxes for syntax in (PLAINEST.get(name), SYNTAXES[name]) if syntax)
    for name, syntax in tried:
        found = _instants(todo, name, syntax, MIRRORED.get(name) in syntaxes, zone)
        answers = found.instants if rows is None else answers.scatter(rows, found.instants)
        if found.remarks.max():
            remarks = found.remarks if rows is None else remarks.scatter(rows, found.remarks)
        missing = (found.instants.is_null() & todo["text"].is_not_null()).arg_true()
        if missing.is_empty():
            break
        rows = missing if rows is None else rows.gather(missing)
        todo = todo[missing]
    return Readings(answers, remarks)


@lru_cache(maxsize=1024)
def _are_dated(syntaxes: tuple[str, ...]) -> bool:
    """Whether a text alone says when it was, whenever it was seen."""
    dated = {"year", "year2", "epoch_s"}
    return all(SYNTAXES[name].restate is None and dated & SYNTAXES[name].groups for name in syntaxes)


def _one_by_one(texts: pl.Series, syntaxes: tuple[str, ...], reference_ms: pl.Series, zone: str) -> Readings:
    found = [
        None if text is None else read_timestamp(text, syntaxes, reference, zone)
        for text, reference in zip(texts.to_list(), reference_ms.to_list(), strict=True)
    ]
    return Readings(
        pl.Series([None if reading is None else reading.instant for reading in found], dtype=pl.Int64),
        pl.Series([0 if reading is None else reading.remarks for reading in found], dtype=pl.UInt8),
    )


def _instants(todo: pl.DataFrame, name: str, syntax: Syntax, mirrored: bool, zone: str) -> Readings:
    if syntax.restate is not None:
        return _rare(todo, name, zone)
    parts = todo["text"].str.extract_groups(syntax.rust).struct.unnest()
    if all(part.null_count() == len(part) for part in parts):
        return _nothing(len(todo))
    frame = parts.with_columns(todo["reference"].clip(_EARLIEST // 1000, _LATEST // 1000))
    if "epoch_s" in syntax.groups:
        instants = _kept_in_range(frame.select(instant=_epoch_expression(syntax)))
        return Readings(instants, pl.repeat(0, len(frame), dtype=pl.UInt8, eager=True))
    frame = frame.with_columns(clock=_clock_expression(frame, syntax))
    remarks = _remarks_on(frame, syntax)
    frame, fixed = _with_offset(frame, syntax, zone)
    if "day" not in syntax.groups:
        today = pl.col("reference") // 86_400_000
        naive = [((today + back) * _DAY + pl.col("clock")) for back in _BACK]
        return _with_remarks(_kept_in_range(_latest_of(frame, naive, fixed, zone)), remarks)
    month = _month_numbers(frame["month_name"]) if "month_name" in syntax.groups else _number("month")
    frame = frame.with_columns(month=month, day=_number("day"))
    if mirrored:
        either = frame.select((pl.col("day") <= 12) & (pl.col("day") != pl.col("month"))).to_series()
        remarks |= either.fill_null(False).cast(pl.UInt8) * AMBIGUOUS
    if "year" in syntax.groups or "year2" in syntax.groups:
        year = _number("year") if "year" in syntax.groups else _full_year_expression()
        frame = frame.with_columns(naive=_days_expression(year) * _DAY + pl.col("clock"))
        instants = _kept_in_range(frame.select(instant=pl.col("naive") - _zone_shift(frame, fixed, zone)))
        return _with_remarks(instants, remarks)
    this_year = pl.from_epoch(pl.col("reference"), time_unit="ms").dt.year().cast(pl.Int64)
    frame = frame.with_columns(this_year=this_year)
    naive = [_days_expression(_existing_year(pl.col("this_year") + back)) * _DAY + pl.col("clock") for back in _BACK]
    return _with_remarks(_kept_in_range(_latest_of(frame, naive, fixed, zone)), remarks)


def _rare(todo: pl.DataFrame, name: str, zone: str) -> Readings:
    """Of a rare syntax the texts are read one by one, those that are written in it."""
    rows = todo["text"].str.contains(SYNTAXES[name].rust).fill_null(False).arg_true()
    nothing = _nothing(len(todo))
    if rows.is_empty():
        return nothing
    some = todo[rows]
    found = _one_by_one(some["text"], (name,), some["reference"], zone)
    return Readings(*(none.scatter(rows, one) for none, one in zip(nothing, found, strict=True)))


def _nothing(length: int) -> Readings:
    return Readings(
        pl.repeat(None, length, dtype=pl.Int64, eager=True), pl.repeat(0, length, dtype=pl.UInt8, eager=True)
    )


def _with_remarks(instants: pl.Series, remarks: pl.Series) -> Readings:
    if remarks.max():
        remarks = remarks * instants.is_not_null().cast(pl.UInt8)
    return Readings(instants, remarks)


def _remarks_on(frame: pl.DataFrame, syntax: Syntax) -> pl.Series:
    remarks = pl.repeat(0 if "day" in syntax.groups else DATELESS, len(frame), dtype=pl.UInt8, eager=True)
    offset = frame["offset"] if "offset" in syntax.groups else None
    if offset is not None and offset.null_count() < len(frame):
        unknown = [text for text in offset.drop_nulls().unique() if text and offset_seconds(text) is None]
        remarks |= _among(offset, unknown) * ZONE_UNKNOWN
    if "zone" in syntax.groups and frame["zone"].null_count() < len(frame):
        unknown = [text for text in frame["zone"].drop_nulls().unique() if zone_named(text) is None]
        no_offset = (offset.is_null() if offset is not None else frame["zone"].is_not_null()).cast(pl.UInt8)
        remarks |= _among(frame["zone"], unknown) * no_offset * ZONE_UNKNOWN
    if "month_name" in syntax.groups:
        names = [name for name in frame["month_name"].drop_nulls().unique() if name.lower() not in MONTHS]
        ambiguous = [name for name in names if (month := month_named(name)) is not None and month.ambiguous]
        remarks |= _among(frame["month_name"], ambiguous) * AMBIGUOUS
    return remarks


def _among(texts: pl.Series, some: list[str]) -> pl.Series:
    """1 for the texts that are among some, else 0."""
    if not some:
        return pl.repeat(0, len(texts), dtype=pl.UInt8, eager=True)
    return texts.is_in(some).fill_null(False).cast(pl.UInt8)


def _month_numbers(names: pl.Series) -> pl.Series:
    distinct = names.drop_nulls().unique().to_list()
    numbers = {name: month.number for name in distinct if (month := month_named(name)) is not None}
    return names.replace_strict(numbers, default=None, return_dtype=pl.Int64)


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


def _clock_expression(frame: pl.DataFrame, syntax: Syntax) -> pl.Expr:
    written, minute = _number("hour"), _number("minute")
    second = _number("second").fill_null(0) if "second" in syntax.groups else pl.lit(0)
    hour = written
    if "ampm" in syntax.groups:
        past_noon = [marker for marker in frame["ampm"].drop_nulls().unique() if is_afternoon(marker)]
        afternoon = pl.when(pl.col("ampm").is_in(past_noon)).then(12).otherwise(0)
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
        seconds = {text: offset_seconds(text, iso_date=syntax.iso_date) for text in spellings if text}
        wrong = [text for text, east in seconds.items() if east is None and not is_ambiguous(text)]
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
