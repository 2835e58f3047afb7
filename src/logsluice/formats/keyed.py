"""Events that name their own fields (JSON, logfmt): from keys and texts to fields."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import orjson

from logsluice.event.ecs import FIELDS
from logsluice.formats.levels import normalize_level
from logsluice.formats.model import Format
from logsluice.formats.syntaxes import SYNTAXES, Syntax
from logsluice.vocabulary.model import Candidate, Key
from logsluice.vocabulary.values import PLACEHOLDERS

_NOT_PASSED_THROUGH: Final = frozenset({"event.dataset"})
"""Fields that are ours to set; an event's own value of these is a label."""
_MOST_KEYS_PLANNED: Final = 100


class KeyedEvent(NamedTuple):
    """What a JSON or logfmt event says.

    Attributes:
        format: The format that was recognised.
        timestamp: As text; it is written in one of ``format.timestamp``.
        level: Normalised; None where there is none that is known.
        message: None where the event has none: then the whole line is its message.
        fields: Texts by field, of other fields than these three.
        labels: The rest: texts by dotted key; what the event has under ``labels`` itself keeps its place there.
    """

    format: Format
    timestamp: str | None
    level: str | None
    message: str | None
    fields: dict[str, str]
    labels: dict[str, str]


class Pairs(NamedTuple):
    """An event's keys and values.

    Attributes:
        texts: Values as text by dotted key.
        numbers: The keys whose values are numbers.
    """

    texts: dict[str, str]
    numbers: set[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """How to read events of one set of keys: worked out once, since a program's events look alike.

    Attributes:
        format: The first format whose required keys are there.
        timestamp: Keys to try.
        syntaxes: What the timestamp may be written in.
        level: Keys to try.
        message: Keys to try.
        plain: The key of each other field that takes what it is given, whatever it is.
        fields: The keys to try for each further field.
    """

    format: Format
    timestamp: tuple[Key, ...]
    syntaxes: tuple[Syntax, ...]
    level: tuple[Key, ...]
    message: tuple[str, ...]
    plain: tuple[tuple[str, str], ...]
    fields: tuple[tuple[str, tuple[Candidate, ...]], ...]


def keyed_event(texts: dict[str, str], numbers: set[str], formats: Iterable[Format]) -> KeyedEvent | None:
    """Read an event's keys by the first format whose required keys it has.

    Args:
        texts: Values as text by dotted key.
        numbers: The keys whose values are numbers.
        formats: All of one kind.

    Returns:
        The event, or None where no format fits.
    """
    plan = plan_of(texts, numbers, formats)
    return None if plan is None else _read(texts, plan)


def plan_of(keys: Collection[str], numbers: Iterable[str], formats: Iterable[Format]) -> Plan | None:
    """How to read events of these keys, in this order; None where no format fits."""
    planned = _plan if len(keys) <= _MOST_KEYS_PLANNED else _plan.__wrapped__
    return planned(tuple(formats), tuple(keys), frozenset(numbers))


@lru_cache(maxsize=4096)
def _plan(formats: tuple[Format, ...], keys: tuple[str, ...], numbers: frozenset[str]) -> Plan | None:
    given = frozenset(keys)
    for candidate in formats:
        if all(
            key in given and (kind == "any" or (key in numbers) == (kind == "number"))
            for key, kind in candidate.requires.items()
        ):
            return _plan_for(candidate, keys)
    return None


def _plan_for(chosen: Format, keys: tuple[str, ...]) -> Plan:
    """A format's own keys come first, then those that are called as ECS calls its fields, then the vocabulary's."""
    given = frozenset(keys)
    candidates: dict[str, list[Candidate]] = {}
    for field, own in chosen.keys.items():
        candidates.setdefault(field, []).extend(Candidate(key, _stated) for key in _present(own, given))
    for field in FIELDS:
        if field in given and field not in _NOT_PASSED_THROUGH:
            candidates.setdefault(field, []).append(Candidate(field, _stated))
    for field, known in chosen.vocabulary.candidates(keys).items():
        candidates.setdefault(field, []).extend(known)
    timestamp, level, message = (
        tuple(dict.fromkeys(candidate.key for candidate in candidates.pop(field, ())))
        for field in ("@timestamp", "log.level", "message")
    )
    plain = {field: key for field, known in candidates.items() if (key := _only_key(known)) is not None}
    return Plan(
        chosen,
        timestamp,
        tuple(SYNTAXES[name] for name in chosen.timestamp),
        level,
        tuple(key for key in message if isinstance(key, str)),
        tuple(plain.items()),
        tuple((field, tuple(known)) for field, known in candidates.items() if field not in plain),
    )


def _only_key(candidates: list[Candidate]) -> str | None:
    """The key of a field that takes its text as it is, where there is no other key."""
    if not candidates or candidates[0].read is not _stated:
        return None
    key = candidates[0].key
    return key if isinstance(key, str) and all(candidate.key == key for candidate in candidates) else None


def _present(keys: Iterable[Key], given: frozenset[str]) -> Iterator[Key]:
    for key in keys:
        if key in given if isinstance(key, str) else given.issuperset(key):
            yield key


def _stated(text: str) -> str | None:
    return None if text in PLACEHOLDERS else text


def _read(texts: dict[str, str], plan: Plan) -> KeyedEvent:
    found = plan.format
    used: set[str] = set()
    timestamp = level = message = None
    for key in plan.timestamp:
        text = _text(texts, key)
        for syntax in plan.syntaxes:
            if syntax.python.fullmatch(text):
                timestamp = text
                break
        else:
            continue
        used.update((key,) if isinstance(key, str) else key)
        break
    for key in plan.level:
        text = _text(texts, key)
        level = found.levels.get(text.lower()) or normalize_level(text)
        if level is not None:
            used.update((key,) if isinstance(key, str) else key)
            break
    if plan.message:
        spoken = plan.message[0]
        if not texts[spoken]:
            spoken = next((key for key in plan.message if texts[key]), spoken)
        message = texts[spoken]
        message = message.rstrip("\r\n") if found.wraps else message
        used.add(spoken)
    fields: dict[str, str] = {}
    for field, plain in plan.plain:
        text = texts[plain]
        if text not in PLACEHOLDERS:
            fields[field] = text
            used.add(plain)
    for field, candidates in plan.fields:
        for key, read in candidates:
            value = read(texts[key] if isinstance(key, str) else _text(texts, key))
            if value is not None:
                fields[field] = value
                used.update((key,) if isinstance(key, str) else key)
                break
    for field, text in found.defaults.items():
        if field == "log.level":
            level = level or text
        else:
            fields.setdefault(field, text)
    labels: dict[str, str] = {}
    if len(used) < len(texts):
        labels = {key.removeprefix("labels."): text for key, text in texts.items() if key not in used}
    return KeyedEvent(found, timestamp, level, message, fields, labels)


def labels_text(labels: dict[str, str]) -> str:
    """Labels as a JSON object, in an order that does not depend on who put them together."""
    return orjson.dumps(labels, option=orjson.OPT_SORT_KEYS).decode()


def _text(texts: dict[str, str], key: Key) -> str:
    return texts[key] if isinstance(key, str) else joined([texts[part] for part in key])


def joined(parts: Sequence[str]) -> str:
    """The text of a moment in several: whole seconds and nanoseconds, or date, time and zone."""
    if len(parts) == 2 and parts[0].isdecimal() and parts[1].isdecimal():
        return f"{parts[0]}.{parts[1]:>09}"
    return " ".join(parts)
