"""Loading the pattern registry: the shipped patterns, then an environment's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from logsluice.errors import LogsluiceError
from logsluice.event.ecs import FieldType
from logsluice.patterns.model import Pattern
from logsluice.regex.compile import Regex
from logsluice.regex.compile_cache import load_with_cache
from logsluice.runtime.yaml_files import read_entry, read_mapping

SHIPPED = Path(str(resources.files("logsluice.patterns") / "shipped.yaml"))


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    revision: Annotated[int, Field(ge=1)]
    disabled: list[str] = []
    patterns: list[object] = []


@dataclass(frozen=True)
class PatternRegistry:
    """The patterns in their order, which decides who fills a field that several find.

    Attributes:
        revision: Version of the facts; a higher one replaces the facts of a lower one.
        patterns: An environment's own patterns come first.
        own: How many of them are an environment's own.
    """

    revision: int
    patterns: tuple[Pattern, ...]
    own: int = 0

    @cached_property
    def fields(self) -> dict[str, FieldType]:
        """Every field that a pattern can fill, with its type."""
        return {fact.field: fact.type for pattern in self.patterns for fact in pattern.fields.values()}


def load_patterns(directory: Path | None = None) -> PatternRegistry:
    """Load the shipped patterns and those of ``directory/patterns.yaml``.

    An entry with a shipped pattern's name takes its place; names under ``disabled`` are left out.

    Raises:
        LogsluiceError: A file or an entry is wrong: which one, why, and what to do.
    """
    shipped = load_with_cache("patterns", lambda: _entries(SHIPPED, _read(SHIPPED).patterns), _regexes)
    if directory is None:
        return PatternRegistry(1, shipped)
    path = directory / "patterns.yaml"
    if not path.exists():
        raise LogsluiceError(
            "there is no such file", where=str(path), hint="a file with `revision: 1` alone takes the shipped patterns"
        )
    file = _read(path)
    own = _entries(path, file.patterns)
    replaced = {pattern.name for pattern in own}
    unknown = sorted(set(file.disabled) - {pattern.name for pattern in shipped})
    if unknown:
        raise LogsluiceError(f"disabled names {unknown[0]!r}, which is no shipped pattern", where=str(path))
    remaining = (p for p in shipped if p.name not in replaced and p.name not in file.disabled)
    registry = PatternRegistry(file.revision, (*own, *remaining), len(own))
    _check_types(path, registry)
    return registry


def _read(path: Path) -> _File:
    return read_entry(_File, read_mapping(path), path=path, kind="file", number=1)


def _entries(path: Path, entries: list[object]) -> tuple[Pattern, ...]:
    patterns = tuple(
        read_entry(Pattern, entry, path=path, kind="pattern", number=number)
        for number, entry in enumerate(entries, start=1)
    )
    names: set[str] = set()
    for pattern in patterns:
        if pattern.name in names:
            raise LogsluiceError("stands twice", where=f"{path}, pattern {pattern.name!r}", hint="rename one")
        names.add(pattern.name)
    return patterns


def _regexes(patterns: Iterable[Pattern]) -> Iterator[Regex]:
    for pattern in patterns:
        yield pattern.compiled
        yield from (fact.excluded for fact in pattern.fields.values() if fact.excluded is not None)


def _check_types(path: Path, registry: PatternRegistry) -> None:
    types: dict[str, tuple[str, FieldType]] = {}
    for pattern in registry.patterns:
        for fact in pattern.fields.values():
            owner, type_ = types.setdefault(fact.field, (pattern.name, fact.type))
            if type_ != fact.type:
                raise LogsluiceError(
                    f"{fact.field} is of type {fact.type} here and of type {type_} in pattern {owner!r}",
                    where=f"{path}, pattern {pattern.name!r}",
                    hint="give both the same type or the field another name",
                )
