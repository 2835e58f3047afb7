"""What is worked on: the plain lines of the made-up shop, cut to one length."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import cycle, islice

from logsluice.demo.traffic import Profile, traffic

LENGTH = 200
_SEED = 7
_START = 1_790_000_000.0
_MOST_DISTINCT = 50_000


@cache
def lines(count: int) -> list[str]:
    """So many ASCII lines of 200 bytes, at most 50,000 of them distinct.

    A shorter line goes on with the next one's text, a longer one is cut: nothing is made up for a pattern to
    find or to miss.
    """
    return list(islice(cycle(islice(_fitted(), min(count, _MOST_DISTINCT))), count))


def _fitted() -> Iterator[str]:
    held = ""
    for event in traffic(_SEED, Profile(rate=1_000, json_share=0.0), _START):
        text = event.line.partition("\n")[0]
        if not text.isascii():
            continue
        held = f"{held} {text}" if held else text
        if len(held) >= LENGTH:
            yield held[:LENGTH]
            held = ""
