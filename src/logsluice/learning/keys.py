"""Patterns for keys that the vocabulary does not know."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from logsluice.errors import LogsluiceError
from logsluice.patterns.model import Pattern

_PAIR: Final = re.compile(
    r"(?<![0-9A-Za-z_.$-])(?P<key>[A-Za-z_][0-9A-Za-z_.-]{0,40})(?:=|: ?)"
    r"(?:\"(?P<quoted>[^\"\n]{1,100})\"|(?P<bare>[^\s\"'=,;(){}\[\]|<>]{1,100}))"
)
_FEWEST: Final = 5
_SHARE: Final = 0.02
_MOST: Final = 20
_EXAMPLES: Final = 2


class LearnedPattern(NamedTuple):
    """A pattern for a key.

    Attributes:
        pattern: As it would stand in ``patterns.yaml``.
        lines: How many of the lines have the key.
    """

    pattern: Pattern
    lines: int


def learn_keys(messages: Sequence[str], is_known: Callable[[str], bool]) -> list[LearnedPattern]:
    """Propose a pattern for each key that many messages have and the registries do not know.

    Args:
        messages: Of events, headers not in them.
        is_known: Whether a key is known to the vocabulary already.

    Returns:
        The keys' patterns, the most frequent first; each fills a label, for what a key means in the words of ECS is
        for whoever knows the program to say.
    """
    having: dict[str, list[str]] = {}
    for message in messages:
        for key in dict.fromkeys(_assigned(message)):
            having.setdefault(key, []).append(message)
    fewest = max(_FEWEST, int(len(messages) * _SHARE))
    often = sorted(having.items(), key=lambda item: (-len(item[1]), item[0]))
    found = [
        LearnedPattern(pattern, len(texts))
        for key, texts in often
        if len(texts) >= fewest and not is_known(key) and (pattern := _pattern(key, texts, messages)) is not None
    ]
    return found[:_MOST]


def _assigned(message: str) -> list[str]:
    """Keys that a value is given to by ``=``; in prose a colon says too little."""
    return [match["key"] for match in _PAIR.finditer(message) if match[0][len(match["key"])] == "="]


def _pattern(key: str, messages: Sequence[str], others: Sequence[str]) -> Pattern | None:
    name = re.sub(r"[^0-9a-z]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()).strip("_")
    if not name or not name[0].isalpha():
        return None
    value = r"[^\s\"'=,;(){}\[\]|<>]{1,100}"
    regex = rf"(?a)\b{re.escape(key)}=\"?(?P<value>{value})"
    examples = []
    for message in dict.fromkeys(messages):
        if (match := re.search(regex, message)) is not None:
            examples.append({"message": message, "fields": {f"labels.{name}": match["value"]}})
        if len(examples) == _EXAMPLES:
            break
    try:
        return Pattern.model_validate(
            {
                "name": name,
                "description": f"The value of {key}, learned from {len(messages):,} messages",
                "regex": regex,
                "fields": {"value": f"labels.{name}"},
                "examples": examples,
                "counterexamples": [next((text for text in others if not re.search(regex, text)), f"no {key} here")],
            }
        )
    except (ValueError, LogsluiceError):
        return None
