"""What comes from logs is shown, never obeyed: control characters of a terminal are spelt out."""

from __future__ import annotations

from rich.text import Text

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    0x09: " ",
    0x0A: "⏎",
    0x0D: "",
}

LEVEL_STYLES = {
    "trace": "dim",
    "debug": "dim",
    "info": "green",
    "notice": "cyan",
    "warn": "yellow",
    "error": "red",
    "critical": "bold red",
}
"""Colours of the levels, wherever a table shows them."""


def printable(text: str) -> str:
    """A text on one line in which every control character can be seen."""
    return text.translate(_CONTROLS)


def highlighted(text: str, begin: str, end: str, style: str = "bold yellow") -> Text:
    """A text in which what stands between two marks is set off."""
    shown = Text()
    for number, part in enumerate(text.split(begin)):
        inside, mark, outside = part.partition(end)
        if number and mark:
            shown.append(printable(inside), style=style)
            shown.append(printable(outside))
        else:
            shown.append(printable(part.replace(end, "")))
    return shown
