"""What an event's HTTP status says: its outcome, and whether it counts as an error."""

from __future__ import annotations

from typing import Final

import polars as pl

from logsluice.event.ecs import ERROR_LEVELS, SERVER_ERROR

STATUS: Final = "http.response.status_code"
_CLIENT_ERROR: Final = 400


def outcome_of(status: int) -> str:
    """The ``event.outcome`` of a request by its answer: below 400 it succeeded."""
    return "success" if status < _CLIENT_ERROR else "failure"


def outcomes(statuses: pl.Series) -> pl.Series:
    """:func:`outcome_of` a column; null where there is no status."""
    return pl.select(
        pl.when(statuses < _CLIENT_ERROR).then(pl.lit("success")).when(statuses.is_not_null()).then(pl.lit("failure"))
    ).to_series()


def counted_level(level: str = "log.level", status: str = STATUS) -> pl.Expr:
    """The level that an event counts under: an answer of 500 or more is an error, whatever its line calls itself."""
    failed = (pl.col(status) >= SERVER_ERROR) & ~pl.col(level).is_in(ERROR_LEVELS).fill_null(False)
    return pl.when(failed).then(pl.lit("error")).otherwise(pl.col(level))
