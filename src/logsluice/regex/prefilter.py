"""Necessary properties of a regular expression's matches: cheap to look for before the expression itself is tried.

Both answers are read off the parsed expression. They are necessary, never sufficient: a text without them
cannot match, whatever the engine.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from logsluice.regex.syntax_tree import compile_single, constants

POSITIONS: Final = 8
"""How many of a match's first characters are looked at."""

BEYOND_ASCII: Final = 128
"""The bit that stands for all characters beyond ASCII; the others are those of the characters themselves."""

SINGLE: Final = frozenset({constants.LITERAL, constants.NOT_LITERAL, constants.IN, constants.ANY})
"""What matches exactly one character."""

_ANYTHING: Final = (1 << (BEYOND_ASCII + 1)) - 1
_LOOPS: Final = frozenset({constants.MAX_REPEAT, constants.MIN_REPEAT})


def beginnings(nodes: Any, flags: int) -> tuple[int, ...]:
    """The characters a match can have at each of its first places, as a set of bits a place.

    A match may be shorter; what follows it is not told.
    """
    found = [0] * POSITIONS
    _walk(nodes, flags, {0}, found)
    return tuple(found)


def literals(nodes: Any, flags: int) -> tuple[str, ...]:
    """Texts that every match contains, longest first."""
    runs: set[str] = set()
    runs.add(_collect(nodes, flags, "", runs))
    longest = (run for run in runs if run and not any(run != other and run in other for other in runs))
    return tuple(sorted(longest, key=lambda run: (-len(run), run)))


def _walk(nodes: Any, flags: int, starts: set[int], found: list[int]) -> set[int]:
    """Note what a sequence can match from each of some places on; gives the places where it can end."""
    for operation, argument in nodes:
        if not starts:
            break
        starts = _step(operation, argument, flags, starts, found)
    return starts


def _step(operation: Any, argument: Any, flags: int, starts: set[int], found: list[int]) -> set[int]:
    if operation in SINGLE:
        bits = _bits(operation, tuple(argument) if isinstance(argument, list) else argument, flags)
        for place in starts:
            found[place] |= bits
        return {place + 1 for place in starts if place + 1 < POSITIONS}
    if operation is constants.AT:
        return starts
    if operation is constants.SUBPATTERN:
        _, added, removed, body = argument
        return _walk(body, (flags | added) & ~removed, starts, found)
    if operation is constants.BRANCH:
        return set().union(*(_walk(branch, flags, starts, found) for branch in argument[1]))
    if operation in _LOOPS:
        low, high, body = argument
        ends = set(starts) if low == 0 else set()
        # After so many turns nothing new is reached.
        for turn in range(1, min(int(high), 2 * POSITIONS) + 1):
            starts = _walk(body, flags, starts, found)
            if turn >= min(low, POSITIONS):
                ends |= starts
        return ends
    for place in range(min(starts), POSITIONS):
        found[place] = _ANYTHING
    return set()


@lru_cache(maxsize=4_096)
def _bits(operation: Any, argument: Any, flags: int) -> int:
    alone = compile_single(operation, argument, flags)
    bits = sum(1 << code for code in range(BEYOND_ASCII) if alone.match(chr(code)))
    return bits if _stays_in_ascii(operation, argument, flags) else bits | 1 << BEYOND_ASCII


def _stays_in_ascii(operation: Any, argument: Any, flags: int) -> bool:
    """Whether a single-character construct surely matches nothing outside ASCII."""
    if flags & re.IGNORECASE and not flags & re.ASCII:
        return False
    if operation is constants.LITERAL:
        return bool(argument < BEYOND_ASCII)
    if operation is constants.IN:
        negative = (constants.CATEGORY_NOT_DIGIT, constants.CATEGORY_NOT_SPACE, constants.CATEGORY_NOT_WORD)
        return all(
            (kind is constants.LITERAL and value < BEYOND_ASCII)
            or (kind is constants.RANGE and value[1] < BEYOND_ASCII)
            or (kind is constants.CATEGORY and flags & re.ASCII and value not in negative)
            for kind, value in argument
        )
    return False


def _collect(nodes: Sequence[Any], flags: int, run: str, runs: set[str]) -> str:
    """Add the runs of characters that a sequence must have; gives the run that it ends with."""
    for operation, argument in nodes:
        if operation is constants.LITERAL and not flags & re.IGNORECASE:
            run += chr(argument)
        elif operation is constants.AT:
            continue
        elif operation is constants.SUBPATTERN:
            _, added, removed, body = argument
            run = _collect(body, (flags | added) & ~removed, run, runs)
        elif operation in _LOOPS and argument[0] >= 1:
            low, high, body = argument
            runs.add(run)
            inner = _collect(body, flags, "", runs)
            run = inner if low == high == 1 else ""
            runs.add(inner)
        else:
            runs.add(run)
            run = ""
    return run
