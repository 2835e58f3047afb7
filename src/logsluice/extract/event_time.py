"""The time of an event whose header shows a clock and no date: whether a date in its message belongs to it."""

from __future__ import annotations

from typing import Final, overload

import polars as pl

from logsluice.formats import TIME_REMARKS
from logsluice.formats.timestamps import DATELESS

_CLOCKS_APART: Final = 60_000_000
_QUARTER_HOUR: Final = 900_000_000


@overload
def is_same_clock(instant: int, dateless: int) -> bool: ...


@overload
def is_same_clock(instant: pl.Series, dateless: pl.Series) -> pl.Series: ...


def is_same_clock(instant: int | pl.Series, dateless: int | pl.Series) -> bool | pl.Series:
    """Whether two instants (microseconds) show the same time of a day, in whatever zones, to a minute.

    Zones differ by quarters of an hour.
    """
    return (instant - dateless + _CLOCKS_APART) % _QUARTER_HOUR <= 2 * _CLOCKS_APART


def set_dateless_aside(columns: dict[str, pl.Series]) -> pl.Series | None:
    """Take away timestamps whose date was guessed, so that patterns look for one with a date.

    Returns:
        Those timestamps (Int64 microseconds since the epoch, null for others), None where there are none.
    """
    remarks = columns.get(TIME_REMARKS)
    if remarks is None:
        return None
    guessed = (remarks == DATELESS).fill_null(False)
    if not guessed.any():
        return None
    instants, nothing = columns["@timestamp"], pl.Series([None], dtype=pl.Int64)
    columns["@timestamp"] = nothing.new_from_index(0, len(instants)).zip_with(guessed, instants)
    columns[TIME_REMARKS] = pl.Series([None], dtype=pl.UInt8).new_from_index(0, len(remarks)).zip_with(guessed, remarks)
    return instants.zip_with(guessed, nothing)


def complete(columns: dict[str, pl.Series], dateless: pl.Series | None) -> None:
    """Put timestamps without a date back, but where the message has one with a date and the same clock."""
    if dateless is None:
        return
    instants = columns["@timestamp"]
    back = dateless.is_not_null() & ~is_same_clock(instants, dateless).fill_null(False)
    columns["@timestamp"] = dateless.zip_with(back, instants)
    guessed = pl.repeat(DATELESS, len(instants), dtype=pl.UInt8, eager=True)
    columns[TIME_REMARKS] = guessed.zip_with(back, columns[TIME_REMARKS])
