"""Models of the rules in ``alerts.yaml``, and how they are loaded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, ClassVar, Final, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator

from logsluice.errors import LogsluiceError
from logsluice.runtime.yaml_files import environment_file, read_entry, read_mapping

Severity = Literal["warning", "critical"]
Metric = Literal["events", "errors", "error_rate", "p50", "p95"]

FILE: Final = "alerts.yaml"
LONGEST_HOLD: Final = 60
"""Windows; as far back as a restart always looks."""

_SHOWN: Final = ("shown", "shown_usual", "shown_threshold")
_WORDS: Final = frozenset({"service", "error_type", "metric", "how", *_SHOWN})
_MINUTES: Final = {"m": 1, "h": 60, "d": 1_440, "w": 10_080}
_TIME: Final = re.compile(r"([1-9][0-9]{0,4})([mhdw])")


def _minutes(value: object) -> object:
    if isinstance(value, str):
        found = _TIME.fullmatch(value.strip())
        if not found:
            raise ValueError(f"{value!r} is no stretch of time: write a number of windows, or 5m, 2h, 7d, 4w")
        return int(found.group(1)) * _MINUTES[found.group(2)]
    return value


Minutes = Annotated[int, BeforeValidator(_minutes), Field(ge=1)]
"""A number of one-minute windows, or text: ``5m``, ``2h``, ``7d``, ``4w``."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True)


class Services(_Entry):
    """Which services a rule looks at.

    Attributes:
        include: Names, in which ``*`` and ``?`` stand for any characters; all services where left out.
        exclude: Names that it leaves out again.
    """

    include: list[str] = ["*"]
    exclude: list[str] = []

    def __contains__(self, service: str) -> bool:
        return any(fnmatchcase(service, name) for name in self.include) and not any(
            fnmatchcase(service, name) for name in self.exclude
        )


class Rule(_Entry):
    """What all kinds of rules have.

    Attributes:
        name: Part of its alerts' identity.
        hold: ``for``: so many windows in a row must be over the threshold before an alert opens.
        resolve_after: So many windows in a row must be below it before an alert resolves.
        text: Words of an alert, in which ``{service}`` and the like stand for what was found.
    """

    PLACEHOLDERS: ClassVar[tuple[str, ...]] = ("service", "value", "threshold", "minutes")
    """Names that may stand in ``text``."""
    TEXT: ClassVar[str] = ""
    """The words where ``text`` is left out."""
    LEVEL: ClassVar[str] = "error"
    """Which events an alert's link shows; empty for all."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")]
    kind: str
    severity: Severity
    description: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    hold: Annotated[Minutes, Field(alias="for", le=LONGEST_HOLD)] = 1
    resolve_after: Annotated[Minutes, Field(le=LONGEST_HOLD)] = 2
    services: Services = Services()
    text: str | None = None

    @field_validator("text")
    @classmethod
    def _text_can_be_filled(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            names = [name for _, name, _, _ in Formatter().parse(value) if name is not None]
            unknown = sorted(set(names) - set(cls.PLACEHOLDERS))
            if unknown:
                raise ValueError(f"{{{unknown[0]}}} is not known here; these are: {', '.join(cls.PLACEHOLDERS)}")
            value.format_map({name: name if name in _WORDS else 1 for name in cls.PLACEHOLDERS})
        except (AttributeError, IndexError, KeyError, TypeError) as error:
            raise ValueError(f"cannot be filled: {error}") from None
        return value

    def words(self, values: Mapping[str, object]) -> str:
        """What an alert says; control characters, which may come from logs, are left out."""
        filled = (self.text or self.TEXT).format_map(values)
        return " ".join("".join(c if c.isprintable() else " " for c in filled).split())


class _CountRule(Rule):
    PLACEHOLDERS = (*Rule.PLACEHOLDERS, "events", "errors")


class ErrorRate(_CountRule):
    """The share of errors among a service's events is above a threshold.

    Attributes:
        threshold: Share, 0 to 1.
        min_events: Windows with fewer events are not evaluated: of few events a tenth are errors every now and then.
    """

    TEXT = "{service}: {value:.1%} of its events are errors ({errors} of {events} in a minute), above {threshold:.1%}"

    kind: Literal["error_rate"]
    threshold: Annotated[float, Field(ge=0, lt=1)] = 0.1
    min_events: Annotated[int, Field(ge=1)] = 100


class ErrorCount(_CountRule):
    """A service has more errors in a window than a threshold."""

    TEXT = "{service}: {value:.0f} errors in a minute, more than {threshold:.0f}"

    kind: Literal["error_count"]
    threshold: Annotated[int, Field(ge=0)] = 100


class CriticalCount(_CountRule):
    """A service has more critical events in a window than a threshold."""

    TEXT = "{service}: {value:.0f} critical events in a minute, more than {threshold:.0f}"
    LEVEL = "critical"

    kind: Literal["critical_count"]
    threshold: Annotated[int, Field(ge=0)] = 5


class Unusual(Rule):
    """A number is far from what the service usually has at this hour of the week.

    Two tests, see :mod:`logsluice.alerts.baseline`: a single window that is far off, and small differences in one
    direction that add up.

    Attributes:
        metric: Which number: ``events``, ``errors`` (a minute), ``error_rate``; ``p50`` and ``p95`` of durations
            (nanoseconds). Where errors are slow and about as many as 5%, the p95 jumps from minute to minute and says
            little; the p50 does not.
        direction: Whether to look for numbers above, below, or both.
        deviations: A window is far off when it is so many standard deviations away.
        drift: How far, in standard deviations, the mean must move for small differences to add up.
        drift_limit: The sum of them, beyond ``drift`` each, at which the drift is reported.
        min_change: Changes smaller than this share of the usual are left alone.
        min_count: Differences of fewer events, or errors, a minute are left alone.
        history: How far back the baseline is learnt from.
    """

    PLACEHOLDERS = (*Rule.PLACEHOLDERS, "metric", "usual", "deviations", "how", *_SHOWN)
    TEXT = "{service}: {metric} {how} the usual: {shown}, usually {shown_usual}, limit {shown_threshold}"
    LEVEL = ""

    kind: Literal["unusual"]
    metric: Metric = "events"
    direction: Literal["high", "low", "both"] = "both"
    deviations: Annotated[float, Field(gt=0)] = 6.0
    drift: Annotated[float, Field(gt=0)] = 1.0
    drift_limit: Annotated[float, Field(gt=0)] = 15.0
    min_change: Annotated[float, Field(ge=0)] = 0.3
    min_count: Annotated[float, Field(ge=0)] = 5.0
    history: Minutes = 28 * 1_440


class NewError(Rule):
    """A service reports an ``error.type`` that it never reported before.

    Attributes:
        lookback: What happened longer ago is forgotten.
        min_history: A service that speaks for less than this is not evaluated: to begin with, everything is new.
        fresh: For how long after its first event a class is new.
    """

    PLACEHOLDERS = (*Rule.PLACEHOLDERS, "error_type")
    TEXT = "{service}: {error_type} was never seen here before; {value:.0f} so far"

    kind: Literal["new_error"]
    lookback: Minutes = 7 * 1_440
    min_history: Minutes = 60
    fresh: Minutes = 60


class Silence(Rule):
    """A service that used to speak says nothing, while others do.

    Attributes:
        min_silence: Windows without an event.
        false_alarm: The rarer a service speaks, the longer it must be silent: so long that chance alone would
            bring it about with no more than this probability.
        presence: How many windows before the silence tell how often it speaks.
        forget_after: A silence longer than this is the new normal.
    """

    TEXT = "{service}: silent for {value:.0f} minutes, limit {threshold:.0f}; other services go on"
    LEVEL = ""

    kind: Literal["silence"]
    resolve_after: Annotated[Minutes, Field(le=LONGEST_HOLD)] = 1
    min_silence: Annotated[Minutes, Field(le=LONGEST_HOLD)] = 5
    false_alarm: Annotated[float, Field(gt=0, lt=1)] = 1e-6
    presence: Annotated[Minutes, Field(ge=10, le=1_440)] = 60
    forget_after: Annotated[Minutes, Field(le=1_440)] = 1_440


class Refunds(Rule):
    """A service gives back more than its payments explain.

    Attributes:
        span: Payments and refunds of so many windows are counted together.
        min_refunds: Fewer are left alone.
        share: Refunds for a payment, where the service's history is too short to tell.
        factor: So many times the usual share at least.
        deviations: And so many standard deviations above it.
        history: How far back the usual share is learnt from.
    """

    PLACEHOLDERS = (*Rule.PLACEHOLDERS, "payments", "refunds", "usual")
    TEXT = (
        "{service}: {refunds} refunds for {payments} payments in {minutes} minutes, usually {usual:.1%} of payments; "
        "more than {threshold:.1f} is out of proportion"
    )
    LEVEL = ""

    kind: Literal["refunds"]
    span: Annotated[Minutes, Field(le=LONGEST_HOLD)] = 15
    min_refunds: Annotated[int, Field(ge=1)] = 10
    share: Annotated[float, Field(gt=0)] = 0.15
    factor: Annotated[float, Field(ge=1)] = 2.0
    deviations: Annotated[float, Field(gt=0)] = 4.0
    history: Minutes = 28 * 1_440


class Pipeline(Rule):
    """No service has a new window: the windows job stands still or is behind, or nothing logs at all.

    Meanwhile no other rule is evaluated, so that a pipeline that stopped is one alert, not one a service.

    Attributes:
        threshold: Minutes that the newest window of all services may be behind.
    """

    TEXT = (
        "no service has a window for {value:.0f} minutes, limit {threshold:.0f}: the windows job is behind or stopped, "
        "or nothing logs"
    )
    LEVEL = ""

    kind: Literal["pipeline"]
    resolve_after: Annotated[Minutes, Field(le=LONGEST_HOLD)] = 1
    threshold: Annotated[Minutes, Field(le=LONGEST_HOLD)] = 5


_KINDS: Final[dict[str, type[Rule]]] = {
    get_args(model.model_fields["kind"].annotation)[0]: model
    for model in (ErrorRate, ErrorCount, CriticalCount, Unusual, NewError, Silence, Refunds, Pipeline)
}


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rules: list[object]


def load_rules(path: Path) -> tuple[Rule, ...]:
    """Load the rules of a file.

    Args:
        path: The file, or the folder of an environment: its ``alerts.yaml``, or where it has none that of the folder
            ``common`` beside it.

    Raises:
        LogsluiceError: The file or a rule is wrong: which one, why, and what to do.
    """
    if path.is_dir():
        path = environment_file(path, FILE)
    if not path.exists():
        raise LogsluiceError("there is no such file", where=str(path), hint="config/common/alerts.yaml is one to copy")
    file = read_entry(_File, read_mapping(path), path=path, kind="file", number=1)
    rules = tuple(_rule(entry, path, number) for number, entry in enumerate(file.rules, start=1))
    for name, times in Counter(rule.name for rule in rules).items():
        if times > 1:
            raise LogsluiceError("stands twice", where=f"{path}, rule {name!r}", hint="rename one")
    return rules


def _rule(entry: Any, path: Path, number: int) -> Rule:
    kind = entry.get("kind") if isinstance(entry, dict) else None
    model = _KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        name = entry.get("name") if isinstance(entry, dict) else None
        raise LogsluiceError(
            f"kind: {kind!r} is no kind of rule" if kind is not None else "kind: is missing",
            where=f"{path}, rule {name!r}" if name else f"{path}, rule number {number}",
            hint=f"one of {', '.join(_KINDS)}",
        )
    return read_entry(model, entry, path=path, kind="rule", number=number)
