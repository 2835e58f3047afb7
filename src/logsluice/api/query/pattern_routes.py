"""The registry of patterns, and patterns that are only tried."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from logsluice.api.problems import ProblemError
from logsluice.api.query.json_bodies import BODY_STATUSES, json_body, json_body_schema
from logsluice.api.query.models import Patterns, TrialResult
from logsluice.api.query.parameters import PatternTrial, refused
from logsluice.api.query.pattern_trials import TRIAL_SECONDS, Trial, TrialsBusyError, TrialTimeoutError
from logsluice.api.query.responses import MAY_QUERY, QueriesOf, cached_response, response_schemas
from logsluice.errors import LogsluiceError
from logsluice.patterns import PatternRegistry

router = APIRouter(prefix="/patterns")


@router.get("", dependencies=MAY_QUERY, responses=response_schemas(Patterns))
async def patterns(request: Request, queries: QueriesOf) -> Response:
    """The patterns that are looked for in every message, in their order."""

    async def fetch() -> dict[str, Any]:
        return _shown(queries.registry.patterns)

    return await cached_response(request, queries, {}, fetch, keep_seconds=None)


@router.post(
    "/test",
    dependencies=MAY_QUERY,
    responses=response_schemas(TrialResult, *BODY_STATUSES, not_modified=False),
    openapi_extra=json_body_schema(PatternTrial),
)
async def test(queries: QueriesOf, trial: Annotated[PatternTrial, Depends(json_body(PatternTrial))]) -> dict[str, Any]:
    """Try a pattern on lines, without deploying it: headers are read and messages searched as the job does it.

    Nothing is stored. A pattern that takes too long is ended.
    """
    fields = {
        group: field if isinstance(field, str) else field.model_dump(exclude_none=True)
        for group, field in trial.fields.items()
    }
    try:
        return await queries.trials.run(Trial(trial.regex, fields, trial.lines))
    except LogsluiceError as error:
        raise refused(error) from None
    except TrialsBusyError:
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE, "too many patterns are being tried", retry_after=TRIAL_SECONDS
        ) from None
    except TrialTimeoutError:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            f"regex: took longer than {TRIAL_SECONDS:g} s or too much memory; write it without nested repetition, "
            "or try it on fewer lines",
        ) from None


def _shown(registry: PatternRegistry) -> dict[str, Any]:
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
