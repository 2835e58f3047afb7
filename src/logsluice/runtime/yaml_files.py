"""Reading the registries' YAML files: a wrong entry is named with its file, its name and the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from logsluice.errors import LogsluiceError

EntryT = TypeVar("EntryT", bound=BaseModel)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The C one, ten times as fast, where libyaml came with PyYAML."""


def environment_file(directory: Path, name: str) -> Path:
    """A file that an environment's folder may have of its own: else it is that of ``common``, the folder beside it."""
    common = directory.resolve().parent / "common" / name
    return common if common.exists() and not (directory / name).exists() else directory / name


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top is a mapping.

    Raises:
        LogsluiceError: The file cannot be read, is not YAML, or its top is something else.
    """
    try:
        loaded = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - safe either way
    except OSError as error:
        raise LogsluiceError("cannot be read", where=str(path), why=error.strerror) from None
    except UnicodeDecodeError as error:
        raise LogsluiceError("is not UTF-8", where=str(path), why=str(error)) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        raise LogsluiceError(
            "is not valid YAML", where=where, why=error.problem, hint="put regular expressions in single quotes"
        ) from None
    except yaml.YAMLError as error:
        raise LogsluiceError("is not valid YAML", where=str(path), why=str(error)) from None
    if not isinstance(loaded, dict):
        raise LogsluiceError("must be a mapping", where=str(path), hint="see the files in config/dev")
    return loaded


def read_entry(model: type[EntryT], entry: object, *, path: Path, kind: str, number: int) -> EntryT:
    """Make a registry's entry.

    Raises:
        LogsluiceError: Something in the entry is wrong.
    """
    name = entry.get("name") if isinstance(entry, dict) else None
    where = f"{path}, {kind} {name!r}" if name else f"{path}, {kind} number {number}"
    try:
        return model.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise LogsluiceError(f"{place}: {message}" if place else message, where=where) from None
