"""One entry of ``patterns.yaml``."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from logsluice.errors import LogsluiceError
from logsluice.event.ecs import FIELDS, FieldType
from logsluice.patterns.fragments import FRAGMENTS, expand
from logsluice.regex.compile import Regex, compile_regex

FieldName = Annotated[str, StringConstraints(pattern=r"^@?[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Fact(_Entry):
    """Where a group's text goes.

    Attributes:
        field: ECS field; ``labels.*`` for what neither ECS nor OpenTelemetry names.
        type: How the text is read; known for the fields of :data:`logsluice.event.ecs.FIELDS`.
        unless: Regular expression of texts that are no value of the field: a text that it matches whole is left out.
    """

    field: FieldName
    type: FieldType
    unless: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _type_from_schema(cls, value: object) -> object:
        if isinstance(value, str):
            value = {"field": value}
        if isinstance(value, dict) and "type" not in value and "field" in value:
            expected = FIELDS.get(value["field"]) or ("keyword" if value["field"].startswith("labels.") else None)
            if expected is None:
                raise ValueError(f"{value['field']} is not a known field: give its type, or use labels.<name>")
            return {**value, "type": expected}
        return value

    @field_validator("unless")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        return None if value is None else _checked(value)

    @model_validator(mode="after")
    def _agrees_with_schema(self) -> Self:
        expected = FIELDS.get(self.field)
        if expected is not None and expected != self.type:
            raise ValueError(f"{self.field} is of type {expected}, not {self.type}")
        if self.field.startswith("labels.") and self.type != "keyword":
            raise ValueError("labels are of type keyword")
        return self

    @cached_property
    def excluded(self) -> Regex | None:
        """What :attr:`unless` leaves out."""
        return None if self.unless is None else compile_regex(expand(self.unless))


class PatternExample(_Entry):
    """A message in which the pattern must be found, and the facts it must give."""

    message: str
    fields: dict[str, str | int | float | bool] = {}


class Pattern(_Entry):
    """A regular expression and the facts it gives.

    Attributes:
        name: Shown in metrics and in ``logsluice.patterns``.
        description: One line for people.
        regex: Python's syntax, searched for in the message; the first match counts. ``%{name}`` puts in a fragment.
        fields: Field of each named group; of groups that fill the same field the first that took part wins.
        fallback: Searched only in events that have no value yet for the first of ``fields``, from their header or a
            pattern before this one.
        examples: Messages that must match.
        counterexamples: Messages that must not.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    description: Annotated[str, StringConstraints(min_length=1)]
    regex: Annotated[str, StringConstraints(min_length=1)]
    fields: dict[str, Fact] = {}
    fallback: bool = False
    examples: Annotated[list[PatternExample], Field(min_length=1)]
    counterexamples: Annotated[list[str], Field(min_length=1)]

    @field_validator("regex")
    @classmethod
    def _compiles(cls, value: str) -> str:
        return _checked(value)

    @model_validator(mode="after")
    def _groups_and_fields_agree(self) -> Self:
        groups, fields = set(self.compiled.groups), set(self.fields)
        if groups - fields:
            raise ValueError(f"group {min(groups - fields)!r} fills no field: add it under fields, or write (?:...)")
        if fields - groups:
            raise ValueError(f"fields names {min(fields - groups)!r}, but the regex has no group of that name")
        if self.fallback and not self.fields:
            raise ValueError("fallback: needs a field that may be absent")
        return self

    @cached_property
    def first_field(self) -> str:
        """The field of the first group; empty where the pattern fills none."""
        return next((fact.field for fact in self.fields.values()), "")

    @cached_property
    def compiled(self) -> Regex:
        """For both engines."""
        return compile_regex(expand(self.regex))


def _checked(regex: str) -> str:
    try:
        compile_regex(expand(regex))
    except KeyError as error:
        raise ValueError(f"no fragment is called {error.args[0]!r}; there are {', '.join(FRAGMENTS)}") from None
    except LogsluiceError as error:
        raise ValueError(error.what) from None
    return regex
