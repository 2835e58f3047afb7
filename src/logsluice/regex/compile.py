"""Compilation of a regular expression for Python's ``re`` and for the linear-time Rust engine inside Polars.

The meaning is always Python's. A pattern is parsed by Python's own parser and written anew in Rust's syntax,
construct by construct, so that what looks alike but differs (Unicode ``\\d \\w \\s``, case folding, ``$``) is
spelled out. What Rust cannot say exactly (look-around, back-references, possessive and atomic groups,
loops over the empty string) stays with ``re``; :attr:`Regex.reason` says why.

Sources: https://docs.python.org/3/library/re.html and https://docs.rs/regex/latest/regex/#syntax
"""

from __future__ import annotations

import re
import sys
import warnings
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import polars as pl

from logsluice.errors import LogsluiceError
from logsluice.regex.syntax_tree import compile_single, constants, parse, subpattern

LONGEST_REGEX: Final = 20_000
"""Characters of a regular expression, its fragments filled in."""

MOST_GROUPS: Final = 200
"""Capturing groups of one."""

# Of Rust's form, in which a Unicode class is spelt out by its ranges: `\\w` alone has 13,000. Its parser takes some
# 25 bytes a character, before it looks at the size of the program that becomes of it.
_LONGEST_RUST: Final = 1_000_000
_ASCII_CATEGORIES = {
    constants.CATEGORY_DIGIT: r"0-9",
    constants.CATEGORY_SPACE: r"\t\n\r\x0b\x0c ",
    constants.CATEGORY_WORD: r"0-9A-Za-z_",
    constants.CATEGORY_NOT_DIGIT: r"\x00-/:-\x{10FFFF}",
    constants.CATEGORY_NOT_SPACE: r"\x00-\x08\x0e-\x1f!-\x{10FFFF}",
    constants.CATEGORY_NOT_WORD: r"\x00-/:-@\[-^`\{-\x{10FFFF}",
}
_SINGLE: Final = frozenset({constants.LITERAL, constants.NOT_LITERAL, constants.IN, constants.ANY})
"""What matches exactly one character."""

_SHOWN: Final = 200
_TOO_LARGE: Final = "too large for the linear-time engine"
_ASCII_BOUNDARY: Final = r"(?-u:\b)"
_UNSAYABLE = {
    constants.ASSERT: "look-around",
    constants.ASSERT_NOT: "look-around",
    constants.GROUPREF: "back-reference",
    constants.GROUPREF_EXISTS: "conditional group",
    constants.ATOMIC_GROUP: "atomic group",
    constants.POSSESSIVE_REPEAT: "possessive quantifier",
}


@dataclass(frozen=True, slots=True)
class Regex:
    """A compiled regular expression.

    Attributes:
        source: As written.
        groups: The named groups in order; Rust's form captures these and no others.
        rust: The same language for Rust's engine, or None where only ``re`` can run it.
        reason: Why ``rust`` is None.
        needs_ascii: Rust's form is exact on ASCII text only (Unicode ``\\b``).
        needs_no_final_newline: Rust's form is exact only on text that does not end in a newline (``$``).
        superset: Where ``rust`` is not exact on every text, a language that has this one in it, in RE2's syntax; None
            where that could not be said either.
    """

    source: str
    groups: tuple[str, ...]
    rust: str | None
    reason: str | None = None
    needs_ascii: bool = False
    needs_no_final_newline: bool = False
    superset: str | None = None

    @property
    def python(self) -> re.Pattern[str]:
        """For Python's ``re``, whose answers are the right ones; compiled when it is asked for first."""
        return _python(self.source)

    @property
    def rust_whole(self) -> str | None:
        """Rust's form of ``fullmatch``."""
        return None if self.rust is None else rf"\A(?:{self.rust})\z"

    @property
    def exact(self) -> bool:
        """Whether Rust's form is exact on every text."""
        return self.rust is not None and not (self.needs_ascii or self.needs_no_final_newline)

    @property
    def re2(self) -> str | None:
        """In RE2's syntax: the same language where :attr:`exact`, else :attr:`superset`."""
        return self.superset if self.rust is None or not self.exact else self.rust.replace(_ASCII_BOUNDARY, r"\b")


class _UnsayableError(Exception):
    """Rust's engine cannot run this exactly."""


_remembered: dict[str, Regex] = {}


def remember(regexes: Iterable[Regex]) -> None:
    """Let :func:`compile_regex` give what it has given before, in another process."""
    _remembered.update({regex.source: regex for regex in regexes})


@lru_cache(maxsize=4096)
def _python(source: str) -> re.Pattern[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return re.compile(source)


@lru_cache(maxsize=4096)
def compile_regex(source: str) -> Regex:
    """Compile for both engines.

    Raises:
        LogsluiceError: Not a regular expression: what is wrong, and at which character; or one that is too large.
    """
    return _remembered.get(source) or _compile(source)


def _compile(source: str) -> Regex:
    if len(source) > LONGEST_REGEX:
        raise LogsluiceError(
            f"a regular expression may have {LONGEST_REGEX:,} characters, this one has {len(source):,}",
            where=repr(source[:_SHOWN]),
        )
    with _compile_errors(source), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parsed = parse(source)
    count, numbers = parsed.state.groups - 1, parsed.state.groupdict
    if count > MOST_GROUPS:
        raise LogsluiceError(
            f"a regular expression may have {MOST_GROUPS} groups, this one has {count}; write (?:...) for those"
            " that are not needed",
            where=repr(source[:_SHOWN]),
        )
    groups = tuple(sorted(numbers, key=numbers.__getitem__))
    translation = _Translation(set(numbers.values()))
    flags = parsed.state.flags
    try:
        rust = translation.sequence(parsed, flags)
        pl.Series([""]).str.contains(rust)
    except _UnsayableError as error:
        # Only of what is said here can the parser take what the compiler does not.
        with _compile_errors(source):
            _python(source)
        return Regex(source, groups, None, str(error), superset=_superset(parsed, flags))
    except pl.exceptions.ComputeError as error:
        return Regex(source, groups, None, f"{_TOO_LARGE}: {str(error)[-60:]}")
    inexact = translation.needs_ascii or translation.needs_no_final_newline
    return Regex(
        source,
        groups,
        rust,
        needs_ascii=translation.needs_ascii,
        needs_no_final_newline=translation.needs_no_final_newline,
        superset=_superset(parsed, flags) if inexact else None,
    )


def _superset(parsed: Any, flags: int) -> str | None:
    try:
        return _Superset(set()).sequence(parsed, flags)
    except (_UnsayableError, RecursionError):
        return None


@contextmanager
def _compile_errors(source: str) -> Iterator[None]:
    """Turns what Python's engine does not take into what is wrong, and at which character."""
    try:
        yield
    except (re.error, OverflowError, RecursionError) as error:
        position = getattr(error, "pos", None)
        at = "" if position is None else f" at character {position + 1}"
        raise LogsluiceError(
            f"not a regular expression: {getattr(error, 'msg', error)}{at}", where=repr(source)
        ) from None


@dataclass
class _Translation:
    captured: set[int]
    needs_ascii: bool = False
    needs_no_final_newline: bool = False
    in_loop: bool = field(default=False)
    length: int = 0

    def sequence(self, nodes: Any, flags: int) -> str:
        return "".join(self.node(operation, argument, flags) for operation, argument in nodes)

    def node(self, operation: Any, argument: Any, flags: int) -> str:
        if operation in _SINGLE:
            return self.single(operation, argument, flags)
        if operation is constants.SUBPATTERN:
            return self.group(argument, flags)
        if operation is constants.BRANCH:
            return "(?:" + "|".join(self.sequence(branch, flags) for branch in argument[1]) + ")"
        if operation in (constants.MAX_REPEAT, constants.MIN_REPEAT):
            return self.repeat(operation, argument, flags)
        if operation is constants.AT:
            return self.position(argument, flags)
        raise _UnsayableError(_UNSAYABLE.get(operation, str(operation).lower()))

    def single(self, operation: Any, argument: Any, flags: int) -> str:
        text = _character_class(operation, _hashable(argument), flags)
        self.length += len(text)
        if self.length > _LONGEST_RUST:
            raise _UnsayableError(f"{_TOO_LARGE}: more than {_LONGEST_RUST:,} characters in its form")
        return text

    def group(self, argument: Any, flags: int) -> str:
        number, added, removed, body = argument
        inner = self.sequence(body, (flags | added) & ~removed)
        if number not in self.captured:
            return f"(?:{inner})"
        if self.in_loop:
            raise _UnsayableError("named group inside a loop")
        return f"({inner})"

    def repeat(self, operation: Any, argument: Any, flags: int) -> str:
        low, high, body = argument
        outer, self.in_loop = self.in_loop, self.in_loop or high > 1
        inner = self.sequence(body, flags)
        self.in_loop = outer
        if high > 1 and body.getwidth()[0] == 0:
            raise _UnsayableError("loop over what may be empty")
        upper = "" if high is constants.MAXREPEAT else str(int(high))
        lazy = "?" if operation is constants.MIN_REPEAT else ""
        return f"(?:{inner}){{{int(low)},{upper}}}{lazy}"

    def position(self, where: Any, flags: int) -> str:
        multiline = bool(flags & re.MULTILINE)
        if where is constants.AT_BEGINNING_STRING or (where is constants.AT_BEGINNING and not multiline):
            return r"\A"
        if where is constants.AT_BEGINNING:
            return "(?m:^)"
        if where is constants.AT_END_STRING:
            return r"\z"
        if where is constants.AT_END:
            self.needs_no_final_newline |= not multiline
            return "(?m:$)" if multiline else r"\z"
        if where is constants.AT_BOUNDARY:
            self.needs_ascii |= not flags & re.ASCII
            return _ASCII_BOUNDARY
        raise _UnsayableError(r"\B")


class _Superset(_Translation):
    """A language with more in it, in RE2's syntax: what cannot be said is left out, or may be anything."""

    def node(self, operation: Any, argument: Any, flags: int) -> str:
        if operation in (constants.ASSERT, constants.ASSERT_NOT):
            return ""
        if operation in (constants.GROUPREF, constants.GROUPREF_EXISTS):
            return "(?s:.)*"
        if operation is constants.ATOMIC_GROUP:
            return f"(?:{self.sequence(argument, flags)})"
        if operation is constants.POSSESSIVE_REPEAT:
            operation = constants.MAX_REPEAT
        return super().node(operation, argument, flags)

    def repeat(self, _operation: Any, argument: Any, flags: int) -> str:
        low, high, body = argument
        upper = "" if high is constants.MAXREPEAT else str(int(high))
        return f"(?:{self.sequence(body, flags)}){{{int(low)},{upper}}}"

    def position(self, where: Any, flags: int) -> str:
        if where is constants.AT_BOUNDARY and flags & re.ASCII:
            return r"\b"
        if where in (constants.AT_BOUNDARY, constants.AT_NON_BOUNDARY):
            return ""
        if where is constants.AT_END and not flags & re.MULTILINE:
            return r"\n?\z"
        return super().position(where, flags)


def _escape(code: int) -> str:
    character = chr(code)
    return character if character.isascii() and character.isalnum() else f"\\x{{{code:x}}}"


def _hashable(argument: Any) -> Any:
    return tuple(argument) if isinstance(argument, list) else argument


@lru_cache(maxsize=4096)
def _character_class(operation: Any, argument: Any, flags: int) -> str:
    if operation is constants.ANY:
        return "(?s:.)" if flags & re.DOTALL else r"[^\n]"
    items = argument if operation is constants.IN else [(operation, argument)]
    if flags & re.IGNORECASE and not flags & re.ASCII:
        return _by_trial(operation, argument, flags)
    parts, negated = [], False
    for kind, value in items:
        if kind is constants.NEGATE:
            negated = True
        elif kind in (constants.LITERAL, constants.NOT_LITERAL):
            negated |= kind is constants.NOT_LITERAL
            parts.append(_escape(value))
            if flags & re.IGNORECASE and chr(value).isascii():
                parts.append(_escape(ord(chr(value).swapcase())))
        elif kind is constants.RANGE:
            parts += _ranges(*value, fold=bool(flags & re.IGNORECASE))
        elif kind is constants.CATEGORY and flags & re.ASCII:
            parts.append(_ASCII_CATEGORIES[value])
        else:
            return _by_trial(operation, argument, flags)
    if parts == [parts[0]] and not negated and operation is constants.LITERAL:
        return parts[0]
    return f"[{'^' if negated else ''}{''.join(parts)}]"


def _ranges(low: int, high: int, *, fold: bool) -> list[str]:
    ranges = [(low, high)]
    if fold:
        for first, last, shift in ((65, 90, 32), (97, 122, -32)):
            start, end = max(low, first), min(high, last)
            if start <= end:
                ranges.append((start + shift, end + shift))
    return [f"{_escape(start)}-{_escape(end)}" for start, end in ranges]


@lru_cache(maxsize=1)
def _every_character() -> str:
    codes = array("I", range(0xD800))
    codes.extend(range(0xE000, sys.maxunicode + 1))
    return codes.tobytes().decode(f"utf-32-{sys.byteorder[0]}e")


@lru_cache(maxsize=1024)
def _by_trial(operation: Any, argument: Any, flags: int) -> str:
    """Ask ``re`` itself about every character there is: exact whatever the engines' Unicode versions."""
    once_or_more = (constants.MAX_REPEAT, (1, constants.MAXREPEAT, subpattern(operation, argument, flags)))
    every = _every_character()
    spans = (match.span() for match in compile_single(*once_or_more, flags).finditer(every))
    ranges = [
        f"{_escape(ord(every[first]))}-{_escape(ord(every[last - 1]))}"
        for span in spans
        for first, last in _without_surrogates(*span)
    ]
    if not ranges:
        raise _UnsayableError("class that matches nothing")
    return f"[{''.join(ranges)}]"


def _without_surrogates(start: int, end: int) -> tuple[tuple[int, int], ...]:
    """Cut a run at the surrogates' gap, which the string of every character does not show."""
    gap = 0xD800
    return ((start, gap), (gap, end)) if start < gap < end else ((start, end),)
