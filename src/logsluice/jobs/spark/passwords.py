"""Passwords on the way to Spark's workers: none goes along.

What a driver ships to executors is in task descriptions, on disks and in logs of others. On a cluster each executor has
the passwords of its own, in the variables that also a driver reads them from. With ``local[*]`` driver and workers are
one user's processes on one machine, and a closure does not leave it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from logsluice.errors import LogsluiceError
from logsluice.settings import Settings

if TYPE_CHECKING:
    from pyspark import SparkContext

_SECTIONS = ("kafka", "elasticsearch")
"""Whom a worker talks to."""


def leave_this_machine(context: SparkContext) -> bool:
    """Whether what is shipped to workers goes to other machines."""
    return not str(context.master).startswith("local[") and context.master != "local"


def without_passwords(settings: Settings) -> Settings:
    """The settings, with nothing secret in them."""
    clean: Settings = _without(settings)
    return clean


def _without(section: Any) -> Any:
    changed: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, SecretStr):
            changed[name] = None
        elif hasattr(type(value), "model_fields"):
            changed[name] = _without(value)
    return section.model_copy(update=changed)


def with_own_passwords(settings: Settings) -> Settings:
    """The settings, with the passwords that this process has in its environment.

    Raises:
        LogsluiceError: A user has none.
    """
    changed: dict[str, Any] = {}
    for name in _SECTIONS:
        section = getattr(settings, name)
        if section.username is None:
            continue
        variable = f"LOGSLUICE_{name.upper()}__PASSWORD"
        if not os.environ.get(variable):
            raise LogsluiceError(
                "no password on this executor",
                where=f"user {section.username}",
                hint=f"give executors {variable} too: a driver does not send it",
            )
        changed[name] = section.model_copy(update={"password": SecretStr(os.environ[variable])})
    return settings.model_copy(update=changed)
