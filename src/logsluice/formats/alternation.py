"""One of many words as a small regular expression, letter by letter: a list of whole words takes long to compile."""

from __future__ import annotations

import re
from collections.abc import Iterable


def alternation(words: Iterable[str]) -> str:
    """A regular expression of exactly these words, with no group around it; longer ones are tried first.

    ``alternation(["CEST", "CET", "UTC", "UT"])`` is ``CE(?:ST|T)|UTC?``.
    """
    by_letter: dict[str, set[str]] = {}
    for word in words:
        by_letter.setdefault(word[0], set()).add(word[1:])
    by_rest: dict[str, list[str]] = {}
    for letter, rests in sorted(by_letter.items()):
        by_rest.setdefault(_one_of(rests), []).append(letter)
    return "|".join(_class(letters) + rest for rest, letters in by_rest.items())


def _one_of(rests: set[str]) -> str:
    longer = rests - {""}
    if not longer:
        return ""
    inner = alternation(longer)
    single = all(len(rest) == 1 for rest in longer)
    if "" in rests:
        return f"{inner}?" if single else f"(?:{inner})?"
    return inner if single or len(longer) == 1 else f"(?:{inner})"


def _class(letters: list[str]) -> str:
    return re.escape(letters[0]) if len(letters) == 1 else f"[{''.join(letters)}]"
