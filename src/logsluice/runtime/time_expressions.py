"""Moments as text: parsed as people write them (a date, a time, or how long ago), and written as ISO 8601."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from logsluice.errors import LogsluiceError

_AGO = re.compile(r"(?:now-)?(\d{1,6})([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_moment(text: str, *, now: datetime | None = None) -> datetime:
    """The moment that a text names, in UTC.

    Args:
        text: ``24h`` or ``now-24h``, ``7d`` and the like before now (``s m h d w``), ``now``, or a date or time of
            ISO 8601; UTC where it names no zone.
        now: What ``24h`` counts from; this moment where left out.

    Raises:
        LogsluiceError: The text is neither.
    """
    try:
        if found := _AGO.fullmatch(text.strip()):
            return (now or datetime.now(UTC)) - timedelta(**{_UNITS[found.group(2)]: int(found.group(1))})
        if text.strip() == "now":
            return now or datetime.now(UTC)
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise LogsluiceError(
            "is no moment", where=text, hint="write 24h, 7d, now, 2026-11-22, or 2026-11-22T08:30:00"
        ) from None


def iso_seconds(moment: datetime) -> str:
    """A moment in ISO 8601, in UTC to the second: ``2026-11-22T08:30:00Z``."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
