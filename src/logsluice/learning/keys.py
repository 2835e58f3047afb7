"""Names and patterns for keys that the vocabulary does not know."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from logsluice.errors import LogsluiceError
from logsluice.event.ecs import FIELDS
from logsluice.patterns.model import Pattern
from logsluice.vocabulary import Entry, Vocabulary
from logsluice.vocabulary.key_folding import words

_PAIR: Final = re.compile(
    r"(?<![0-9A-Za-z_.$-])(?P<key>[A-Za-z_][0-9A-Za-z_.-]{0,40})(?:=|: ?)"
    r"(?:\"(?P<quoted>[^\"\n]{1,100})\"|(?P<bare>[^\s\"'=,;(){}\[\]|<>]{1,100}))"
)
_FEWEST: Final = 5
_SHARE: Final = 0.02
_MIN_SHARE: Final = 0.95
"""Of a key's values are what its field's are."""
_MOST: Final = 20
_EXAMPLES: Final = 2


class LearnedName(NamedTuple):
    """One more name of a field.

    Attributes:
        entry: As it would stand in ``vocabulary.yaml``.
        lines: How many of the lines have the key.
    """

    entry: Entry
    lines: int


class LearnedPattern(NamedTuple):
    """A pattern for a key.

    Attributes:
        pattern: As it would stand in ``patterns.yaml``.
        lines: How many of the lines have the key.
    """

    pattern: Pattern
    lines: int


class LearnedKeys(NamedTuple):
    """What keys teach, the most frequent first."""

    names: list[LearnedName]
    patterns: list[LearnedPattern]


def learn_keys(messages: Sequence[str], vocabulary: Vocabulary) -> LearnedKeys:
    """Propose an entry for each key that many messages have and the vocabulary does not know.

    A key that ends in the words of a known name (``shopClientIp``) is one more name of its field, where its values are
    what that field's are. Any other fills a label: what it means is for whoever knows the program to say.

    Args:
        messages: Of events, headers not in them.
        vocabulary: What is known.
    """
    having: dict[str, list[str]] = {}
    for message in messages:
        for key in dict.fromkeys(_assigned(message)):
            having.setdefault(key, []).append(message)
    fewest = max(_FEWEST, int(len(messages) * _SHARE))
    often = sorted(having.items(), key=lambda item: (-len(item[1]), item[0]))
    learned = LearnedKeys([], [])
    for key, texts in often:
        if len(texts) < fewest or key in vocabulary:
            continue
        values = [value for text in texts for name, value in _assigned(text).items() if name == key]
        if (entry := _name(key, values, vocabulary)) is not None:
            learned.names.append(LearnedName(entry, len(texts)))
        elif (pattern := _pattern(key, texts, messages)) is not None:
            learned.patterns.append(LearnedPattern(pattern, len(texts)))
    return LearnedKeys(learned.names[:_MOST], learned.patterns[:_MOST])


def _assigned(message: str) -> dict[str, str]:
    """Values by key, where they are given by ``=``; in prose a colon says too little."""
    return {
        match["key"]: match["quoted"] or match["bare"]
        for match in _PAIR.finditer(message)
        if match[0][len(match["key"])] == "="
    }


def _name(key: str, values: Sequence[str], vocabulary: Vocabulary) -> Entry | None:
    """The entry by which a key is a name of the field that the longest known end of its words means."""
    parts = words(key)
    for number in range(1, len(parts)):
        end = "_".join(parts[number:])
        for field, candidates in vocabulary.candidates([end]).items():
            readable = sum(candidates[0].read(value) is not None for value in values)
            if len(parts) - number > 1 and field in FIELDS and readable >= _MIN_SHARE * len(values):
                return Entry(field=field, names=(key,))
    return None


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
