"""Reads formats: the user's own first, then the shipped ones, in order of precedence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from logsluice.errors import LogsluiceError
from logsluice.formats.model import Format, FormatEntry, build_format


def load_formats(directory: Path | None = None) -> tuple[Format, ...]:
    """Read ``formats.yaml`` of an environment, where there is one, and the shipped formats.

    A format of the user's takes the place of a shipped one of the same name.

    Args:
        directory: The environment's folder, such as ``config/dev``; None for the shipped formats alone.

    Raises:
        LogsluiceError: An entry is wrong: which file, which entry, what is wrong, what to do.
    """
    own: tuple[Format, ...] = ()
    if directory is not None:
        path = directory / "formats.yaml"
        if path.exists():
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise LogsluiceError("cannot be read", where=str(path), why=str(error)) from None
            own = _unique((_build(entry, where) for entry, where in _entries(text, str(path))), str(path))
    names = {entry.name for entry in own}
    return own + tuple(shipped for shipped in _shipped() if shipped.name not in names)


@lru_cache(maxsize=1)
def _shipped() -> tuple[Format, ...]:
    folder = files("logsluice.formats") / "shipped"
    pages = sorted(
        (page for page in folder.iterdir() if page.name.endswith(".yaml")), key=lambda page: page.name
    )
    entries = (found for page in pages for found in _entries(page.read_text(encoding="utf-8"), page.name))
    return _unique((_build(entry, where) for entry, where in entries), "shipped formats")


def _entries(text: str, where: str) -> Iterator[tuple[Any, str]]:
    try:
        page = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f"{where}, line {mark.line + 1}" if mark else where
        raise LogsluiceError("is not valid YAML", where=at, why=getattr(error, "problem", None)) from None
    if page is None:
        return
    if not isinstance(page, dict) or set(page) != {"formats"} or not isinstance(page["formats"], list | None):
        raise LogsluiceError(
            "is not a list of formats", where=where, hint="begin it with 'formats:' and a list"
        )
    for number, entry in enumerate(page["formats"] or (), start=1):
        name = entry.get("name") if isinstance(entry, dict) else None
        yield entry, f"{where}, {name or f'entry {number}'}"


def _build(entry: Any, where: str) -> Format:
    try:
        return build_format(FormatEntry.model_validate(entry))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise LogsluiceError(
            f"{place}: {first['msg']}" if place else first["msg"].removeprefix("Value error, "), where=where
        ) from None
    except LogsluiceError as error:
        why = "; ".join(part for part in (error.where, error.why) if part)
        raise LogsluiceError(error.what, where=where, why=why or None, hint=error.hint) from None


def _unique(formats: Iterable[Format], where: str) -> tuple[Format, ...]:
    by_name: dict[str, Format] = {}
    for entry in formats:
        if entry.name in by_name:
            raise LogsluiceError(
                f"two formats are called {entry.name!r}", where=where, hint="rename one of them"
            )
        by_name[entry.name] = entry
    return tuple(by_name.values())
