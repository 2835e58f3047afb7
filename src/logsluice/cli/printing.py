"""Styles of levels and of highlighted text on the terminal."""

from __future__ import annotations

from rich.text import Text

from logsluice.runtime.terminal import printable

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
