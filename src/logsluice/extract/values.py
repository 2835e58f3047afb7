"""Reading a field's text as its type: one value at a time here, whole columns in :mod:`.columns`."""

from __future__ import annotations

import math
import re
from typing import Final

from logsluice.event.addresses import clean_ip
from logsluice.event.ecs import FieldType
from logsluice.event.quantities import LONG, UNITS
from logsluice.formats import normalize_level

Value = str | int | float | bool

DOUBLE: Final = r"[+-]?[0-9]{1,17}(?:\.[0-9]{1,17})?(?:[eE][+-]?[0-9]{1,3})?"
DURATION: Final = r"([0-9]{1,15}(?:\.[0-9]{1,9})?)[ \t]?([a-zµ]{0,12})"
BOOLEANS: Final = {"true": True, "false": False, "True": True, "False": False}
MAX_DURATION: Final = float(2**62)

_LONG = re.compile(LONG)
_DOUBLE = re.compile(DOUBLE)
_DURATION = re.compile(DURATION)


def read_value(text: str, kind: FieldType) -> Value | None:
    """Read a text as a type other than ``date``; None where it is not of that type."""
    if kind in ("keyword", "text"):
        return text
    if kind == "level":
        return normalize_level(text)
    if kind == "long":
        return int(text.partition(".")[0]) if _LONG.fullmatch(text) else None
    if kind == "ip":
        return clean_ip(text)
    if kind == "duration":
        return _read_duration(text)
    if kind == "double":
        value = float(text) if _DOUBLE.fullmatch(text) else math.inf
        return value if math.isfinite(value) else None
    if kind == "boolean":
        return BOOLEANS.get(text)
    raise ValueError(f"no way to read {kind} without knowing when the event was seen")


def _read_duration(text: str) -> int | None:
    match = _DURATION.fullmatch(text)
    unit = UNITS.get(match[2]) if match else None
    if match is None or unit is None:
        return None
    nanoseconds = math.floor(float(match[1]) * unit + 0.5)
    return nanoseconds if nanoseconds < MAX_DURATION else None
