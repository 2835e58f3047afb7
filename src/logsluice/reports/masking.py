"""Message templates: what stays the same of an error's message when ids, numbers and the like change.

A template is made of the message's first line that is not blank:

1. A terminal's colours are removed, blanks become one space, the first 40 words are kept.
2. A mask is put in place of what it names: ``{value}`` (between quotes, which stay), ``{url}``, ``{email}``,
   ``{time}`` (ISO 8601), ``{uuid}``, ``{mac}``, ``{ip}`` (with its port), ``{path}`` (absolute, home, with a dot in
   front, Windows), ``{hex}`` (``0x...``), ``{number}`` (a unit stays), ``{id}`` (eight and more hexadecimal digits, or
   a word with letters between digits), and ``{number}`` for every digit that is left.
3. A word of 200 characters or more is ``{long}``.

A template is its own template: masking twice is masking once.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from logsluice.extract.decode import COLOURS

_MOST_WORDS: Final = 40
_LONGEST_WORD: Final = 200
# A message can be megabytes long without a blank; what lies beyond tells no more about its kind.
_MASKED_CHARACTERS: Final = 20_000

_CONTROL: Final = r"[\x00-\x1f\x7f-\x9f]"
_EDGE: Final = r"(?-u:\b)"
# Rust's engine has no look-around: what stands before is a group that is put back.
_NO_WORD: Final = r"(^|[^0-9A-Za-z_])"
_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4: Final = rf"(?:{_OCTET}\.){{3}}{_OCTET}"
_IPV6: Final = (
    r"(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}|(?:[0-9A-Fa-f]{1,4}:){1,6}(?::[0-9A-Fa-f]{1,4}){1,6}"
    r"|::[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,6}"
)
_MASKS: Final[tuple[tuple[str, str, str], ...]] = (
    ('"', r'"[^"]*"', '"{value}"'),
    ("'", rf"{_NO_WORD}'[^']*'", "${1}'{value}'"),
    ("`", r"`[^`]*`", "`{value}`"),
    ("://", r"[A-Za-z][A-Za-z0-9+.-]*://[^ \"'`<>(){}\[\]]+", "{url}"),
    ("@", r"[A-Za-z0-9][A-Za-z0-9._%+-]*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", "{email}"),
    (
        "[0-9]:[0-9]",
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?",
        "{time}",
    ),
    ("[:-]", rf"{_EDGE}[0-9A-Fa-f]{{2}}(?:[:-][0-9A-Fa-f]{{2}}){{5}}{_EDGE}", "{mac}"),
    (r"\[[0-9A-Fa-f]*:", rf"\[(?:{_IPV6})\](?::[0-9]+)?", "{ip}"),
    ("[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f]", rf"(^|[^0-9A-Za-z_.:])(?:{_IPV6}){_EDGE}", "${1}{ip}"),
    (r"[0-9]\.[0-9]+\.[0-9]+\.[0-9]", rf"{_NO_WORD}{_IPV4}(?::[0-9]+)?{_EDGE}", "${1}{ip}"),
    (
        r"[\\/]",
        r"(^|[ =(\[,:>|])(?:[A-Za-z]:\\|\\\\|~?/|\.{1,2}/)[^ :,;(){}\[\]\"'`<>|=]+",
        "${1}{path}",
    ),
    ("-", rf"{_EDGE}[0-9A-Fa-f]{{8}}-(?:[0-9A-Fa-f]{{4}}-){{3}}[0-9A-Fa-f]{{12}}{_EDGE}", "{uuid}"),
    ("0[xX]", rf"{_EDGE}0[xX][0-9A-Fa-f]+{_EDGE}", "{hex}"),
    ("[+-][0-9]", r"(^|[ =(\[,:_])[+-]([0-9])", "${1}${2}"),
    ("[0-9][A-Za-z]", rf"{_EDGE}[0-9]+(?:[.,:][0-9]+)*([A-Za-z]{{1,3}}){_EDGE}", "{number}${1}"),
    ("[0-9]", rf"{_EDGE}[0-9]+(?:[.,:][0-9]+)*{_EDGE}", "{number}"),
    ("[0-9A-Fa-f]{8}", rf"{_EDGE}[0-9A-Fa-f]{{8,}}{_EDGE}", "{id}"),
    ("[0-9][A-Za-z_]+[0-9]", rf"{_EDGE}[A-Za-z_]*[0-9]+[A-Za-z_]+[0-9][0-9A-Za-z_]*{_EDGE}", "{id}"),
    ("[0-9]", r"[0-9]+(?:[.,:][0-9]+)*", "{number}"),
)
"""What a text must have in it (which is quick to tell), what is masked, and by what."""

_IDENTIFIERS: Final = ("{uuid}", "{hex}", "{number}", "{number}${1}", "{id}")


def endpoints(paths: pl.Series) -> pl.Series:
    """Paths of URLs (String) without their query, their identifiers and numbers masked; null of null."""
    texts = _replaced(paths, r"[?#;]", r"[?#;](?s).*", "").str.slice(0, _LONGEST_WORD)
    for sign, pattern, mask in _MASKS:
        if mask in _IDENTIFIERS:
            texts = _replaced(texts, sign, pattern, mask)
    return texts


def templates(messages: pl.Series) -> pl.Series:
    """The template of each message (String); null of null, an empty text where there is nothing but blanks."""
    texts = messages.str.strip_chars_start()
    texts = _replaced(texts, r"\n", r"\n(?s).*", "").str.slice(0, _MASKED_CHARACTERS)
    texts = _replaced(texts, "\x1b", COLOURS, "")
    texts = _replaced(texts, rf"  |[^\S ]|{_CONTROL}", rf"(?:\s|{_CONTROL})+", " ").str.strip_chars(" ")
    texts = _replaced(texts, f"(?:[^ ]+ ){{{_MOST_WORDS}}}", rf"\A((?:[^ ]+ ?){{{_MOST_WORDS}}}).*", "${1}")
    masked = _masked(texts)
    while True:
        # Where a mask took a digit away, a word may begin or end that did not before: few texts, and few rounds.
        once = masked.unique().drop_nulls()
        twice = _masked(once)
        changed = once != twice
        if not changed.any():
            return masked
        masked = masked.replace(once.filter(changed), twice.filter(changed))


def _masked(texts: pl.Series) -> pl.Series:
    for sign, pattern, mask in _MASKS:
        texts = _replaced(texts, sign, pattern, mask)
    long = texts.str.len_bytes() >= _LONGEST_WORD
    if long.any():
        texts = _replaced(texts, f"[^ ]{{{_LONGEST_WORD}}}", f"[^ ]{{{_LONGEST_WORD},}}", "{long}")
    return texts.str.strip_chars(" ")


def _replaced(texts: pl.Series, sign: str, pattern: str, by: str) -> pl.Series:
    """Replace a pattern in the texts that have a sign of it: most have none, and looking is quicker."""
    rows = texts.str.contains(sign).fill_null(False).arg_true()
    if rows.is_empty():
        return texts
    if len(rows) == len(texts):
        return texts.str.replace_all(pattern, by)
    return texts.clone().scatter(rows, texts.gather(rows).str.replace_all(pattern, by))
