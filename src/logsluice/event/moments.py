"""Moments as milliseconds since the epoch, and as documents and answers write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_millis(moment: datetime) -> int:
    """A moment as whole milliseconds since the epoch."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def from_millis(value: float) -> datetime:
    """The moment of so many milliseconds since the epoch, in UTC."""
    return EPOCH + timedelta(milliseconds=value)


def iso(moment: datetime) -> str:
    """A moment in ISO 8601, in UTC to the millisecond: ``2026-11-22T08:30:00.000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
