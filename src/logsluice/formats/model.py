"""What a format is: how one kind of log line begins, and which fields its header gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from logsluice.errors import LogsluiceError
from logsluice.event.ecs import FIELDS, LEVELS
from logsluice.formats.defaults import FIELD_BY_GROUP, KEYED_TIMESTAMPS
from logsluice.formats.fragments import FRAGMENTS, expand, syntaxes_in, without_fragments
from logsluice.formats.syntaxes import SYNTAXES
from logsluice.regex.compile import Regex, compile_regex
from logsluice.vocabulary import Vocabulary
from logsluice.vocabulary.model import Key

Kind = Literal["regex", "json", "logfmt"]
JsonType = Literal["any", "string", "number"]
PairSyntax = Literal["extension", "structured_data"]


class Example(BaseModel):
    """A line of this format and what must be read from it.

    Attributes:
        line: The event, its lines joined by newlines.
        fields: Values by field; ``@timestamp`` in ISO 8601, null where there must be none.
        reference: When the event was seen, for timestamps without a year.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    line: str
    fields: dict[str, str | int | float | bool | None] = {}
    reference: str = "2026-01-15T00:00:00Z"


class FormatEntry(BaseModel):
    """A format as written in YAML.

    Attributes:
        name: Becomes ``event.dataset``.
        description: What writes such lines.
        kind: ``regex`` for text; ``json`` for JSON objects; ``logfmt`` for lines of ``key=value`` pairs.
        regex: Must match the whole event; ``%{name}`` puts in a fragment or a timestamp syntax.
        fields: Fields by group, where they differ from the default for the group's name. ``labels.x`` keeps a
            value as text.
        timestamp: Timestamp syntaxes, tried in order; by default those that the regex refers to.
        levels: Levels by spelling (case counts not), for this format alone, before the spellings all share.
        defaults: Values of fields that the event does not give.
        duration_unit: Unit of ``event.duration`` where it is written as a bare number.
        wraps: The message is, or begins, a log line of its own and is recognised again.
        standalone: Only a whole line has this format, never the message of one that wraps.
        pairs: Groups that hold keys and values, with how these are written: ``extension`` for CEF's and LEEF's,
            ``structured_data`` for syslog's.
        requires: JSON and logfmt: keys that make an event one of this format, with the type of their values.
        keys: JSON and logfmt: keys by field, tried in order before those of the vocabulary.
        examples: Lines with what must be read from them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=100)]
    description: Annotated[str, Field(min_length=1)]
    kind: Kind = "regex"
    regex: str | None = None
    fields: dict[str, str] = {}
    timestamp: tuple[str, ...] | None = None
    levels: dict[str, str] = {}
    defaults: dict[str, str] = {}
    duration_unit: Literal["ns", "us", "ms", "s"] | None = None
    wraps: bool = False
    standalone: bool = False
    pairs: dict[str, PairSyntax] = {}
    requires: dict[str, JsonType] = {}
    keys: dict[str, tuple[Key, ...]] = {}
    examples: tuple[Example, ...] = ()

    @field_validator("levels", mode="before")
    @classmethod
    def _spellings_are_text(cls, value: Any) -> Any:
        return {str(key).lower(): level for key, level in value.items()} if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.kind == "regex") != (self.regex is not None):
            raise ValueError("regex: needed for the kind regex, and for no other")
        if self.kind == "regex" and (self.requires or self.keys):
            raise ValueError("requires and keys are for the kinds json and logfmt")
        for syntax in self.timestamp or ():
            if syntax not in SYNTAXES:
                raise ValueError(f"timestamp: no syntax is called {syntax!r}; there are {', '.join(SYNTAXES)}")
        for level in self.levels.values():
            if level not in LEVELS:
                raise ValueError(f"levels: {level!r} is none of {', '.join(LEVELS)}")
        for field in (*self.fields.values(), *self.defaults, *self.keys):
            if field not in FIELDS and not field.startswith("labels."):
                raise ValueError(f"no field is called {field!r}; use one of ECS that logsluice knows, or labels.<name>")
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Format:
    """A format ready for use; the attributes are those of :class:`FormatEntry`, completed.

    Compared by identity, so that what is worked out for a format can be kept by it.

    Attributes:
        regex: Compiled; None for JSON and logfmt.
        fields: Field of every named group of ``regex``, in the groups' order.
        keys: JSON and logfmt: its own keys by field.
        vocabulary: What all other keys mean.
        partial: One part of the header may be anything; its events are tagged ``partial``.
    """

    name: str
    description: str
    kind: Kind
    regex: Regex | None
    fields: dict[str, str]
    timestamp: tuple[str, ...]
    levels: dict[str, str]
    defaults: dict[str, str]
    duration_unit: str | None
    wraps: bool
    standalone: bool
    pairs: dict[str, PairSyntax]
    requires: dict[str, JsonType]
    keys: dict[str, tuple[Key, ...]]
    vocabulary: Vocabulary
    examples: tuple[Example, ...]
    partial: bool = False


def build_format(entry: FormatEntry, vocabulary: Vocabulary) -> Format:
    """Complete and compile an entry.

    Raises:
        LogsluiceError: The regular expression is wrong, names an unknown fragment, or has a group without a field.
    """
    regex, fields = None, {}
    timestamp: tuple[str, ...] = KEYED_TIMESTAMPS
    if entry.regex is not None:
        regex, timestamp = _compiled(entry.regex), syntaxes_in(entry.regex)
        if "extension" in entry.pairs.values():
            timestamp = tuple(dict.fromkeys((*timestamp, *KEYED_TIMESTAMPS)))
        fields = {group: entry.fields.get(group, FIELD_BY_GROUP.get(group, "")) for group in regex.groups}
        _check_groups(entry, fields, timestamp)
    return Format(
        name=entry.name,
        description=entry.description,
        kind=entry.kind,
        regex=regex,
        fields=fields,
        timestamp=timestamp if entry.timestamp is None else entry.timestamp,
        levels=entry.levels,
        defaults=entry.defaults,
        duration_unit=entry.duration_unit,
        wraps=entry.wraps,
        standalone=entry.standalone,
        pairs=entry.pairs,
        requires=entry.requires,
        keys=entry.keys,
        vocabulary=vocabulary,
        examples=entry.examples,
    )


def _compiled(source: str) -> Regex:
    try:
        expanded = expand(source)
    except KeyError as error:
        known = ", ".join((*FRAGMENTS, *SYNTAXES))
        raise LogsluiceError(f"no fragment is called {error.args[0]!r}", hint=f"there are {known}") from None
    try:
        return compile_regex(expanded)
    except LogsluiceError as error:
        what = error.what
    try:
        compile_regex(without_fragments(source))
    except LogsluiceError as error:
        what = error.what
    raise LogsluiceError(what, where=repr(source))


def _check_groups(entry: FormatEntry, fields: dict[str, str], timestamp: tuple[str, ...]) -> None:
    for group, field in fields.items():
        if not field:
            raise LogsluiceError(f"the group {group!r} has no field", hint=f"add it: fields: {{{group}: <ECS field>}}")
    for group in (*entry.fields, *entry.pairs):
        if group not in fields:
            raise LogsluiceError(f"fields or pairs names a group {group!r} that the regex has not")
    if "@timestamp" in fields.values() and not (timestamp or entry.timestamp):
        raise LogsluiceError(
            "no syntax for the timestamp",
            hint="write it as %{iso8601} or the like, or name one in timestamp: [...]",
        )
