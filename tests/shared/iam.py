"""Whether an identity-based policy allows a request, by the rules of AWS that its policies here make use of.

A request is denied unless a statement allows it, and denied whenever one denies it. ``*`` and ``?`` in actions,
resources and ``StringLike`` stand for any characters, slashes too; actions are compared without regard to case. A key
that the request does not have makes a condition false.
Source: AWS IAM User Guide, "Policy evaluation logic", "IAM JSON policy elements: Condition operators".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

Statement = Mapping[str, Any]


def allows(
    statements: Iterable[Statement], action: str, resource: str, context: Mapping[str, str] | None = None
) -> bool:
    """Whether a request of this action on this ARN passes.

    Raises:
        KeyError: A statement has an element or a condition operator that these rules do not know.
    """
    effects = {
        statement["Effect"] for statement in statements if _speaks_of(statement, action, resource, context or {})
    }
    return effects == {"Allow"}


def _speaks_of(statement: Statement, action: str, resource: str, context: Mapping[str, str]) -> bool:
    if unknown := statement.keys() - {"Sid", "Effect", "Action", "Resource", "Condition"}:
        raise KeyError(*unknown)
    conditions = statement.get("Condition", {})
    return (
        any(_like(pattern.lower(), action.lower()) for pattern in _listed(statement["Action"]))
        and any(_like(pattern, resource) for pattern in _listed(statement["Resource"]))
        and all(
            key in context and any(_OPERATORS[operator](value, context[key]) for value in _listed(values))
            for operator, keys in conditions.items()
            for key, values in keys.items()
        )
    )


def _like(pattern: str, text: str) -> bool:
    return bool(re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text, re.DOTALL))


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


_OPERATORS = {"StringLike": _like, "StringEquals": str.__eq__}
