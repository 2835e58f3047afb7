"""What a vocabulary is: for each field the names by which the world calls it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from logsluice.event.ecs import FIELDS, FieldType
from logsluice.vocabulary.key_folding import NEUTRAL, fold, suffixes
from logsluice.vocabulary.values import READERS, Kind, Reader, duration

Key = str | tuple[str, ...]
"""A dotted key, or several that make one value: date, time and zone, or whole seconds and nanoseconds."""

Unit = Literal["ns", "us", "ms", "s", "m", "h"]

_KIND_BY_TYPE: Final[dict[FieldType, Kind]] = {
    "keyword": "name",
    "text": "any",
    "long": "long",
    "double": "any",
    "boolean": "any",
    "ip": "ip",
    "date": "timestamp",
    "duration": "duration",
    "level": "level",
}

_UNITS: Final[dict[Unit, str]] = {
    "ns": "ns nanos nanoseconds nanosecs nsec",
    "us": "us micros microseconds usec usecs microsec micro",
    "ms": "ms millis milliseconds msec msecs millisec millisecond milli",
    "s": "s sec secs seconds second",
    "m": "min mins minutes",
    "h": "hours",
}
"""How a name tells the unit of its value: at its end, with or without "in" before it."""


def _split(value: object) -> object:
    return tuple(value.split()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Names with blanks between; case and separators within one do not count."""


class Entry(BaseModel):
    """Names of one field, as written in YAML.

    Attributes:
        field: The field of ECS.
        value: What a value must look like, where the field's type does not say it.
        names: That mean the field wherever they stand: as a key at any depth, in running text.
        words: That mean it as a key of the event itself, and in running text.
        top: That mean it as a key of the event itself alone.
        together: Keys that make one value together.
        unit: Of a duration without one.
        beside: The names hold only where one of these keys is there too.
        without: The names hold only where none of these keys is there.
        in_text: Whether ``names`` and ``words`` are looked for in messages.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: str
    value: Kind | None = None
    names: Names = ()
    words: Names = ()
    top: Names = ()
    together: tuple[tuple[str, ...], ...] = ()
    unit: Unit | None = None
    beside: Names = ()
    without: Names = ()
    in_text: bool = True

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.field not in FIELDS and not self.field.startswith("labels."):
            raise ValueError(
                f"no field is called {self.field!r}; use one of ECS that logsluice knows, or labels.<name>"
            )
        if self.unit is not None and self.kind != "duration":
            raise ValueError("unit: is for durations")
        for name in (*self.names, *self.words, *self.top):
            if not fold(name):
                raise ValueError(f"{name!r} has neither letter nor digit")
        if not (self.names or self.words or self.top or self.together):
            raise ValueError("names: there is none")
        return self

    @property
    def kind(self) -> Kind:
        """What a value must look like."""
        return self.value or _KIND_BY_TYPE[FIELDS.get(self.field, "keyword")]


class Candidate(NamedTuple):
    """A key of an event that may give a field.

    Attributes:
        key: The key, or several that make one value together.
        read: What is taken of its text; None where nothing is.
    """

    key: Key
    read: Reader


class _Use(NamedTuple):
    """What a folded name means.

    Attributes:
        entry: The number of the entry.
        position: Its place among the entry's names.
        anywhere: Whether it means it at any depth.
        unit: Of a duration without one.
    """

    entry: int
    position: int
    anywhere: bool
    unit: Unit | None


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Names by field, ready for use; compared by identity.

    Attributes:
        entries: In order of precedence; an environment's own come first.
        ignored: Folded names that mean nothing.
    """

    entries: tuple[Entry, ...]
    ignored: frozenset[str] = frozenset()

    @cached_property
    def _table(self) -> dict[str, tuple[_Use, ...]]:
        table: dict[str, list[_Use]] = {}
        for number, entry in enumerate(self.entries):
            names = [(name, True) for name in entry.names] + [(name, False) for name in (*entry.words, *entry.top)]
            for position, (name, anywhere) in enumerate(names):
                for folded, unit in _with_units(fold(name), entry):
                    if folded not in self.ignored:
                        table.setdefault(folded, []).append(_Use(number, position, anywhere, unit))
        return {name: tuple(uses) for name, uses in table.items()}

    def candidates(self, keys: Sequence[str]) -> dict[str, tuple[Candidate, ...]]:
        """The keys of an event that may give each field, the best first.

        A key means what its longest known suffix means. Of several keys of a field the entries' order decides, then
        the one that lies less deep, then the order of an entry's names.

        Args:
            keys: All of the event, dotted.
        """
        present_names = {fold(key) for key in keys} | {fold(key.rpartition(".")[2]) for key in keys}
        found: dict[str, list[tuple[tuple[int, int, int], Candidate]]] = {}
        for key in keys:
            for depth, use in self._uses(key):
                entry = self.entries[use.entry]
                if _applies(entry, present_names):
                    candidate = Candidate(key, _reader(entry.kind, use.unit))
                    found.setdefault(entry.field, []).append(((use.entry, depth, use.position), candidate))
        for number, entry in enumerate(self.entries):
            for position, parts in enumerate(entry.together):
                exact = tuple(_exact(part, keys) for part in parts)
                if all(exact):
                    candidate = Candidate(exact, READERS["any"])
                    found.setdefault(entry.field, []).append(((number, -1, position), candidate))
        return {
            field: tuple(candidate for _, candidate in sorted(candidates, key=lambda each: each[0]))
            for field, candidates in found.items()
        }

    def _uses(self, key: str) -> Iterable[tuple[int, _Use]]:
        for suffix, around in suffixes(key):
            uses = self._table.get(suffix)
            if uses is not None:
                own = all(name in NEUTRAL for name in around)
                return [(len(around), use) for use in uses if use.anywhere or own]
        return ()

    def __contains__(self, key: str) -> bool:
        """Whether a key of the event itself means a field."""
        return fold(key) in self._table


def _applies(entry: Entry, present_names: set[str]) -> bool:
    """Whether an entry's names mean anything in an event with such keys."""
    beside = not entry.beside or not present_names.isdisjoint(map(fold, entry.beside))
    return beside and present_names.isdisjoint(map(fold, entry.without))


def _with_units(folded: str, entry: Entry) -> Iterable[tuple[str, Unit | None]]:
    yield folded, entry.unit
    if entry.kind == "duration" and not entry.beside:
        for unit, spellings in _UNITS.items():
            for spelling in spellings.split():
                yield folded + spelling, unit
                yield f"{folded}in{spelling}", unit


def _reader(kind: Kind, unit: Unit | None) -> Reader:
    if kind == "duration":
        return lambda text: duration(text, unit)
    return READERS.get(kind, READERS["any"])


def _exact(name: str, keys: Sequence[str]) -> str:
    return next((key for key in keys if fold(key) == fold(name)), "")
