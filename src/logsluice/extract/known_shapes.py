"""Shapes of the lines that were seen, by which lines like them are read many at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from logsluice.formats import Format
from logsluice.formats.keyed_columns import KeyedColumns, read_columns
from logsluice.formats.shapes import Notation, Shape, alike, shape_of, without_escaped_quotes

LEAST_UNREAD: Final = 128
"""Lines after which learning a shape pays: it takes as long as reading so many of them one by one."""

_PATIENCE: Final = 8
"""Times as many before it is tried again, where nothing could be learned."""

FEWEST: Final = 4
"""Lines that are quicker read together than one by one."""

_SAMPLES: Final = 5
"""Lines that are compared to find the shape of most."""

_MOST_LEARNED: Final = 4
_MOST_ALIKE: Final = 8
MOST_KINDS: Final = 128
_MOST_COUNTED: Final = 4_096


class Block(NamedTuple):
    """Lines that were read together.

    Attributes:
        rows: Their numbers.
        events: What they say, in the order of ``rows``.
    """

    rows: list[int]
    events: KeyedColumns


class KnownShapes:
    """Reads lines by the shapes of those before; what is read of a line does not depend on them, just how fast.

    Shapes are kept by how many quotation marks their lines have.
    """

    def __init__(self, notation: Notation, formats: Sequence[Format]) -> None:
        self._notation = notation
        self._formats = tuple(formats)
        self._shapes: dict[int, tuple[Shape, ...]] = {}
        self._unread: Counter[int] = Counter()

    def read(self, texts: Sequence[str]) -> tuple[list[Block], list[int]]:
        """Read the lines whose shape is known, or is that of so many that it is learned now.

        Returns:
            What was read, and the numbers of the other lines.
        """
        texts = list(texts)
        others: list[int] = []
        escaped: set[int] = set()
        by_quotes: dict[int, list[int]] = {}
        for row, text in enumerate(texts):
            if "\\" in text:
                plain = without_escaped_quotes(text) if self._notation.escapes else None
                if plain is None:
                    others.append(row)
                    continue
                texts[row] = text = plain
                escaped.add(row)
            by_quotes.setdefault(text.count('"'), []).append(row)
        if len(self._unread) > _MOST_COUNTED:
            self._unread.clear()
        blocks: list[Block] = []
        for quotes, rows in by_quotes.items():
            found, left = self._read_some(quotes, texts, rows, escaped)
            blocks += found
            others += left
        return blocks, sorted(others)

    def _read_some(
        self, quotes: int, texts: Sequence[str], rows: list[int], escaped: set[int]
    ) -> tuple[list[Block], list[int]]:
        """Read lines of the same number of quotation marks; returns also those that are left."""
        known = self._shapes.get(quotes, ())
        used: list[Shape] = []
        blocks: list[Block] = []

        def take(shape: Shape) -> list[int]:
            found = alike(shape, texts, rows, escaped)
            if len(found.rows) < FEWEST:
                return rows
            used.append(shape)
            blocks.append(Block(found.rows, read_columns(found.columns, shape.plan)))
            return found.others

        for shape in known:
            if len(rows) < FEWEST:
                break
            rows = take(shape)
        self._unread[quotes] += len(rows)
        for _ in range(_MOST_LEARNED):
            if len(rows) < FEWEST or self._unread[quotes] < LEAST_UNREAD:
                break
            before = len(rows)
            learned = self._frequent([texts[row] for row in rows])
            rows = rows if learned is None else take(learned)
            self._unread[quotes] = len(rows) if len(rows) < before else -_PATIENCE * LEAST_UNREAD
        if used:
            self._keep(quotes, (*used, *(shape for shape in known if shape not in used)))
        return blocks, rows

    def _frequent(self, texts: Sequence[str]) -> Shape | None:
        """The shape of many of the lines, as a few of them tell; None where these differ."""
        samples = texts[:: max(1, len(texts) // _SAMPLES)]
        outlines = [self._notation.outline(text) for text in samples]
        counts = Counter(outline for outline in outlines if outline is not None)
        for outline, count in counts.most_common(1):
            if count > 1:
                return shape_of(samples[outlines.index(outline)], self._notation, self._formats)
        return None

    def _keep(self, quotes: int, shapes: tuple[Shape, ...]) -> None:
        """Keep shapes, those that had lines last the longest."""
        self._shapes.pop(quotes, None)
        self._shapes[quotes] = shapes[:_MOST_ALIKE]
        if len(self._shapes) > MOST_KINDS:
            del self._shapes[next(iter(self._shapes))]
