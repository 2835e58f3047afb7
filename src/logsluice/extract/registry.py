"""The three registries together: all that extraction has to know."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from logsluice.errors import LogsluiceError
from logsluice.event.ecs import FIELDS, FieldType
from logsluice.extract.facts import check_pattern
from logsluice.formats import Format, load_formats
from logsluice.formats.examples import check_examples
from logsluice.patterns import PatternRegistry, load_patterns
from logsluice.vocabulary import Vocabulary


@dataclass(frozen=True)
class Registry:
    """Formats, with their vocabulary, and patterns; can be pickled, so that it travels to Spark's workers.

    Attributes:
        formats: In order of precedence.
        patterns: With their revision.
    """

    formats: tuple[Format, ...]
    patterns: PatternRegistry

    @property
    def revision(self) -> int:
        """Version of the facts."""
        return self.patterns.revision

    @property
    def vocabulary(self) -> Vocabulary:
        """By which names the world calls the fields: the one that the formats were made with."""
        return self.formats[-1].vocabulary

    @cached_property
    def fields(self) -> dict[str, FieldType]:
        """Every field a record can have, with its type."""
        from_formats: dict[str, FieldType] = {
            name: "keyword"
            for entry in self.formats
            for name in (*entry.fields.values(), *entry.defaults, *entry.keys)
            if name not in FIELDS
        }
        from_formats |= {entry.field: "keyword" for entry in self.vocabulary.entries if entry.field not in FIELDS}
        return {**FIELDS, **from_formats, **self.patterns.fields}


def load_registry(directory: Path | None = None) -> Registry:
    """Load what is shipped and what ``directory`` (``config/<env>``) adds.

    Raises:
        LogsluiceError: A file or an entry is wrong: which one, why, and what to do.
    """
    registry = Registry(load_formats(directory), load_patterns(directory))
    for outer in registry.fields:
        for inner in registry.fields:
            if inner.startswith(f"{outer}."):
                raise LogsluiceError(
                    f"{inner} lies within {outer}, which holds a value itself",
                    where=f"{directory}",
                    hint="give one of these fields another name",
                )
    # What is shipped is held to its examples by the tests.
    for pattern in registry.patterns.patterns[: registry.patterns.own]:
        for problem in check_pattern(pattern):
            raise LogsluiceError(
                problem,
                where=f"{directory}/patterns.yaml, pattern {pattern.name!r}",
                hint="correct the regex or the example",
            )
    shipped = {entry.name: entry.examples for entry in load_formats()}
    own = [entry for entry in registry.formats if shipped.get(entry.name) != entry.examples]
    for problem in check_examples(registry.formats, own):
        raise LogsluiceError(problem, where=f"{directory}/formats.yaml", hint="correct the regex or the example")
    return registry
