"""Texts out of logs as a page shows them: what cannot be seen, or would reorder the line, is left out."""

from __future__ import annotations

from typing import Final

_INVISIBLE: Final[dict[int, None]] = dict.fromkeys(
    code
    for first, last in (
        (0x00, 0x1F),
        (0x7F, 0x9F),
        (0x061C, 0x061C),
        (0x200B, 0x200F),
        (0x202A, 0x202E),
        (0x2066, 0x2069),
        (0xD800, 0xDFFF),
        (0xFEFF, 0xFEFF),
        (0xFFFE, 0xFFFF),
    )
    for code in range(first, last + 1)
)


def visible_text(text: str) -> str:
    """A text without control characters and marks of direction."""
    return text.translate(_INVISIBLE)
