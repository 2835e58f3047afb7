"""The syntax tree of a regular expression, as Python's own parser of ``re`` gives it.

``re`` has no public face for it: this module alone imports its private parts, ``re._parser``, ``re._constants`` and
``re._compiler``, which are there from Python 3.11 on (https://github.com/python/cpython/tree/3.11/Lib/re; before that
they were ``sre_parse``, ``sre_constants`` and ``sre_compile``). A tree is a sequence of pairs of an operation, one of
:data:`constants`, and its argument.
"""

from __future__ import annotations

import re
from re import _compiler, _parser  # type: ignore[attr-defined]
from re import _constants as constants
from typing import Any

__all__ = ["compile_single", "constants", "parse", "subpattern"]


def parse(source: str) -> Any:
    """The tree of a regular expression; ``tree.state.flags`` are the flags that it sets for all of itself.

    Raises:
        re.error: It is none.
        OverflowError: A number of turns is too large.
        RecursionError: It is nested too deeply.
    """
    return _parser.parse(source)


def compile_single(operation: Any, argument: Any, flags: int) -> re.Pattern[str]:
    """A construct of its own as a pattern of ``re``."""
    pattern: re.Pattern[str] = _compiler.compile(subpattern(operation, argument, flags), flags)
    return pattern


def subpattern(operation: Any, argument: Any, flags: int) -> Any:
    """A construct of its own as a tree."""
    state = _parser.State()
    state.flags = flags
    content = list(argument) if isinstance(argument, tuple) and operation is constants.IN else argument
    return _parser.SubPattern(state, [(operation, content)])
