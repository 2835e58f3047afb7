"""The registry of patterns, and patterns that are only tried."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, field_validator

from logsluice.api.query.parameters import BODY_STATUSES, json_body, json_body_schema
from logsluice.api.query.pattern_trials import Trial
from logsluice.api.query.responses import MAY_QUERY, cached_response, response_schemas
from logsluice.api.resources import ResourcesOf

router = APIRouter(prefix="/patterns", tags=["query"])
MAX_TRIAL_CHARACTERS: Final = 1_000_000
"""Characters of all lines of a trial."""


class PatternInfo(BaseModel):
    """A pattern that is looked for in every message.

    Attributes:
        name: As in ``logsluice.patterns``.
        description: For people.
        regex: In Python's syntax.
        fields: The field that each named group fills.
        engine: ``rust`` runs in linear time, ``re`` is bounded in time.
    """

    name: str
    description: str
    regex: str
    fields: dict[str, str]
    engine: Literal["rust", "re"]


class Patterns(BaseModel):
    """The registry of patterns, in the order in which they are tried."""

    revision: Annotated[int, Field(ge=1)]
    patterns: list[PatternInfo]


class LineResult(BaseModel):
    """What a pattern found in a line.

    Attributes:
        line: As it was given.
        outcome: ``match``, ``no_match``, ``regex_timeout``, or why the line cannot be read.
        format: The format that was recognised.
        message: What was searched: the line without its header.
        fields: The facts, by field.
    """

    line: str
    outcome: str
    format: str | None
    message: str | None
    fields: dict[str, str | int | float | bool]


class TrialResult(BaseModel):
    """What a pattern found.

    Attributes:
        engine: ``rust`` would run it in linear time, ``re`` bounded in time.
        reason: Why only ``re`` can run it.
        results: Line by line.
    """

    engine: Literal["rust", "re"]
    reason: str | None
    results: list[LineResult]


class FactOf(BaseModel):
    """Where a group's text goes."""

    model_config = ConfigDict(extra="forbid")

    field: Annotated[str, Field(max_length=200)]
    type: Annotated[str | None, Field(max_length=20)] = None


class PatternTrial(BaseModel):
    """A pattern and the lines to try it on."""

    model_config = ConfigDict(extra="forbid")

    regex: Annotated[
        str,
        Field(
            min_length=1,
            max_length=4_000,
            description="In the syntax of Python's `re`.",
            examples=[r"(?a)\border (?P<order>ORD-[0-9]+)"],
        ),
    ]
    fields: Annotated[
        dict[Annotated[str, Field(max_length=100)], Annotated[str, Field(max_length=200)] | FactOf],
        Field(max_length=50, description="The field of each named group.", examples=[{"order": "labels.order_id"}]),
    ] = {}
    lines: Annotated[
        list[Annotated[str, Field(max_length=65_536)]],
        Field(
            min_length=1,
            max_length=200,
            description=f"With {MAX_TRIAL_CHARACTERS:,} characters in all.",
            examples=[["order ORD-17 paid"]],
        ),
    ]

    @field_validator("lines")
    @classmethod
    def _are_not_too_many(cls, value: list[str]) -> list[str]:
        if (size := sum(map(len, value))) > MAX_TRIAL_CHARACTERS:
            raise ValueError(f"the lines may have {MAX_TRIAL_CHARACTERS:,} characters in all, these have {size:,}")
        return value


@router.get("", dependencies=MAY_QUERY, responses=response_schemas(Patterns))
async def patterns(request: Request, resources: ResourcesOf) -> Response:
    """The patterns that are looked for in every message, in their order."""

    async def fetch() -> dict[str, Any]:
        registry = resources.registry.patterns
        return {
            "revision": registry.revision,
            "patterns": [
                {
                    "name": pattern.name,
                    "description": pattern.description,
                    "regex": pattern.regex,
                    "fields": {group: fact.field for group, fact in pattern.fields.items()},
                    "engine": "rust" if pattern.compiled.rust else "re",
                }
                for pattern in registry.patterns
            ],
        }

    return await cached_response(request, resources, {}, fetch, max_age=None)


@router.post(
    "/test",
    dependencies=MAY_QUERY,
    responses=response_schemas(TrialResult, *BODY_STATUSES, not_modified=False),
    openapi_extra=json_body_schema(PatternTrial),
)
async def test(
    resources: ResourcesOf, trial: Annotated[PatternTrial, Depends(json_body(PatternTrial))]
) -> dict[str, Any]:
    """Try a pattern on lines, without deploying it: headers are read and messages searched as the job does it.

    Nothing is stored. A pattern that takes too long is ended.
    """
    fields = {
        group: field if isinstance(field, str) else field.model_dump(exclude_none=True)
        for group, field in trial.fields.items()
    }
    return await resources.trials.run(Trial(trial.regex, fields, trial.lines))
