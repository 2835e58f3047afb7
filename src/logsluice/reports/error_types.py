"""The error type of an event, derived from its message where no field names one.

The first of these that there is:

1. ``error.type``: from a column of that name, the format, or a pattern (``java.net.SocketTimeoutException``).
2. ``event.code`` of the format, such as ``ORA-00600``.
3. An error number of POSIX in the message: ``ECONNREFUSED``.
4. A status of 500 and above: ``HTTP 503``.
5. The beginning of the message's template: up to the first ``: ``, `` - ``, ``;`` or `` (``, six words at most, without
   a level in front. ``Payment 17 declined: card expired`` is ``Payment {number} declined``.
6. The level.
"""

from __future__ import annotations

import errno
from typing import Final

import polars as pl

from logsluice.formats.levels import LEVEL_BY_SPELLING

_MOST_WORDS: Final = 6
_LONGEST: Final = 200
_ERROR_NUMBER: Final = rf"(?-u:\b)({'|'.join(sorted(errno.errorcode.values(), reverse=True))})(?-u:\b)"
_LEVELS: Final = "|".join(sorted((word for word in LEVEL_BY_SPELLING if len(word) > 3), key=len, reverse=True))
_LEVEL_IN_FRONT: Final = rf"\A(?i:(?:[\[<(](?:{_LEVELS})[\]>)]:? ?|(?:{_LEVELS})(?:: ?| - ))+)"
_CLAUSE: Final = r"\A(.+?)(?:: | - |; | \(|[:;]?\z)"
_FIRST_WORDS: Final = rf"\A((?:[^ ]+ ?){{1,{_MOST_WORDS}}})"


def error_types(errors: pl.DataFrame) -> pl.Series:
    """The kind of each error, never null or empty.

    Args:
        errors: The columns ``error_type``, ``code``, ``message``, ``template``, ``level`` (String), ``status`` (Int64).
    """
    bare = pl.col("template").str.replace(_LEVEL_IN_FRONT, "")
    clause = bare.str.extract(_CLAUSE).fill_null(bare).str.extract(_FIRST_WORDS).str.strip_chars(" ,.;:-")
    return errors.select(
        pl.coalesce(
            _non_blank(pl.col("error_type")),
            _non_blank(pl.col("code")),
            pl.col("message").str.extract(_ERROR_NUMBER),
            pl.when(pl.col("status") >= 500).then(pl.format("HTTP {}", pl.col("status"))),
            _non_blank(clause),
            _non_blank(bare),
            pl.col("level"),
        ).str.slice(0, _LONGEST)
    ).to_series()


def _non_blank(text: pl.Expr) -> pl.Expr:
    text = text.str.strip_chars()
    return pl.when(text != "").then(text)
