"""The one-minute window that rules are evaluated on, and minutes since the epoch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

WINDOW_SECONDS: Final = 60
"""Length of a window; windows start at full minutes of UTC."""


@dataclass(frozen=True, slots=True)
class Window:
    """One minute of one service.

    Attributes:
        minute: Its start, in minutes since the epoch (:func:`minute_of`).
        service: ``service.name``; ``unknown`` where events name none.
        events: All events.
        errors: Events of level error or critical.
        critical: Events of level critical.
        payments: Payments that succeeded.
        refunds: Refunds that succeeded.
        p50: Median of ``event.duration``, in nanoseconds; ``None`` where no event has one.
        p95: Its 95th percentile, likewise.
    """

    minute: int
    service: str
    events: int
    errors: int = 0
    critical: int = 0
    payments: int = 0
    refunds: int = 0
    p50: float | None = None
    p95: float | None = None


def minute_of(moment: datetime) -> int:
    """The minute that holds a moment, in minutes since the epoch."""
    return int(moment.timestamp() // WINDOW_SECONDS)


def moment_of(minute: int) -> datetime:
    """The beginning of a minute."""
    return datetime.fromtimestamp(minute * WINDOW_SECONDS, UTC)


def iso(moment: datetime) -> str:
    """A moment as documents and identities have it: UTC, milliseconds, ``Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
