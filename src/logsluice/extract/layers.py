"""Times of a line within a line: which of them holds."""

from __future__ import annotations

import re
from typing import Final

MOST_LAYERS: Final = 3
"""How many lines within a line are recognised."""

SAME_MOMENT_MICROS: Final = 5 * 60_000_000
"""How far apart the writing of a line and its wrapping may be where nothing says more."""

ZONE_SHIFT_MICROS: Final = 15 * 3_600_000_000
"""No two zones' clocks are farther apart than a little more than half a day."""

DAY_MICROS: Final = 86_400_000_000

_DATELESS: Final = re.compile(r"\A[0-9]{1,2}:[0-9]{2}")
_ZONED: Final = re.compile(
    r"(?:[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?|(?:[A-Z]{3,5}|UT)(?:[+-][0-9]{1,2})?|[A-Z][A-Za-z]+/[A-Za-z_/-]+)"
    r"(?: [0-9]{4})?\Z|\A[0-9]{9,19}(?:[.,][0-9]+)?(?:[eE]\+?[0-9]+)?\Z"
)


def names_zone(text: str) -> bool:
    """Whether a timestamp says which zone it is of; the epoch's seconds do."""
    return _ZONED.search(text) is not None


def settled_instant(text: str | None, inner: int | None, outer: int | None, outer_zoned: bool) -> int | None:
    """The instant of a line within a line, or None where that of its wrapping holds.

    The inner one holds, but where it lacks what the outer has: a time of day alone only adds precision, and one
    without a zone is not believed where it differs from an outer with a zone by what clocks of two zones do.

    Args:
        text: The inner timestamp as written.
        inner: The same, in microseconds since the epoch.
        outer: The wrapping's.
        outer_zoned: Whether the wrapping's names its zone.
    """
    if text is None or inner is None or outer is None:
        return inner
    apart = inner - outer
    if _DATELESS.match(text):
        apart = (apart + DAY_MICROS // 2) % DAY_MICROS - DAY_MICROS // 2
        return outer + apart if abs(apart) <= SAME_MOMENT_MICROS else None
    if not outer_zoned or names_zone(text):
        return inner
    return None if SAME_MOMENT_MICROS < abs(apart) <= ZONE_SHIFT_MICROS else inner


def inner_reference_ms(outer: int | None, reference_ms: int) -> int:
    """When an inner line was seen at the latest, which gives it its year: a day after its wrapping."""
    return reference_ms if outer is None else (outer + DAY_MICROS) // 1000
