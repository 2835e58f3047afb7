"""Whole numbers and units of time as logs write them."""

from __future__ import annotations

from typing import Final

LONG: Final = r"[+-]?[0-9]{1,18}(?:\.0{1,9})?"

UNITS: Final[dict[str, int]] = {
    unit: nanoseconds
    for units, nanoseconds in (
        (" ns nanos nanoseconds", 1),
        ("us µs micros microseconds", 1_000),
        ("ms msec msecs millis milliseconds", 1_000_000),
        ("s sec secs second seconds", 1_000_000_000),
        ("m min mins minute minutes", 60_000_000_000),
        ("h hr hrs hour hours", 3_600_000_000_000),
    )
    for unit in units.split(" ")
}
"""Nanoseconds by unit; a number without a unit is in nanoseconds, as ECS has ``event.duration``."""
