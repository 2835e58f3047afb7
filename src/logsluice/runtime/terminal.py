"""What reaches a terminal. What comes from logs is shown, never obeyed: escape sequences, other control characters and
marks that turn the direction of text are spelt out, and no text is read as rich's markup.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterable
from typing import Any, BinaryIO, Final

import orjson
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import Progress, ProgressColumn
from rich.segment import Segment
from rich.text import Text

_BYTES: Final = (*range(0x20), *range(0x7F, 0xA0))
# Marks of direction, ends of lines and paragraphs, annotations, a byte order mark, and halves of surrogate pairs, which
# cannot be written at all.
_WIDER: Final = (
    0x061C,
    *range(0x200E, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2066, 0x206A),
    *range(0xD800, 0xE000),
    0xFEFF,
    *range(0xFFF9, 0xFFFC),
)
_SPELT: Final = {code: f"\\x{code:02x}" for code in _BYTES} | {code: f"\\u{code:04x}" for code in _WIDER} | {0x0D: ""}
_OF_ONE_LINE: Final = _SPELT | {0x09: " ", 0x0A: "⏎"}
_OF_LINES: Final = {code: text for code, text in _SPELT.items() if code not in (0x09, 0x0A)}
_IN_JSON: Final = re.compile(f"[{''.join(map(chr, (*range(0x7F, 0xA0), *_WIDER)))}]")


def printable(text: str) -> str:
    """A text on one line in which every control character can be seen."""
    return text if text.isprintable() else text.translate(_OF_ONE_LINE)


def printable_lines(text: str) -> str:
    """A text of several lines in which every other control character can be seen."""
    return text if text.isprintable() else text.translate(_OF_LINES)


def printable_json(text: str) -> str:
    """JSON that means the same, with the control characters escaped that JSON itself allows."""
    return text if text.isprintable() else _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def json_line(document: Any) -> bytes:
    """A document as one line of JSON that may be shown."""
    return printable_json(orjson.dumps(document).decode()).encode() + b"\n"


class JsonOutput(io.RawIOBase):
    """Lines of JSON on their way to a terminal, in whatever pieces they come."""

    def __init__(self, out: BinaryIO) -> None:
        super().__init__()
        self._out = out
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any, /) -> int:
        """Write the next piece."""
        self._out.write(printable_json(self._decoder.decode(bytes(data))).encode())
        return len(data)


class Terminal(Console):
    """Where everything is printed.

    A string is text and nothing else: what is to have a style is a :class:`rich.text.Text`.

    Args:
        soft_wrap: Leave it to the terminal to fold lines.
    """

    def __init__(self, *, stderr: bool = False, soft_wrap: bool = False) -> None:
        super().__init__(stderr=stderr, soft_wrap=soft_wrap, highlight=False, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """A string as text; before anything is laid out, so that columns stay straight."""
        return super().render_str(printable_lines(text), **{**options, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Whatever else is printed, in the pieces that are written."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(printable_lines(segment.text), segment.style)


def progress_bar(*columns: ProgressColumn, transient: bool = True) -> Progress:
    """Progress on standard error, shown where that is a terminal and nowhere else (``disable``)."""
    console = Terminal(stderr=True)
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=transient)
