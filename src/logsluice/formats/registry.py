"""Reads formats: the user's own first, then the shipped ones, in order of precedence."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from logsluice.errors import LogsluiceError
from logsluice.formats.model import Format, FormatEntry, build_format
from logsluice.regex.compile_cache import load_with_cache
from logsluice.runtime.yaml_files import read_entry, read_mapping
from logsluice.vocabulary import Vocabulary, load_vocabulary

SHIPPED = Path(str(resources.files("logsluice.formats") / "shipped"))
"""Read in the order of the files' names and of the entries in each."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    disabled: list[str] = []
    formats: list[object] = []


def load_formats(directory: Path | None = None) -> tuple[Format, ...]:
    """Load ``formats.yaml`` of an environment, where there is one, and the shipped formats, with its vocabulary.

    An entry with a shipped format's name takes its place, ahead of all others; names under ``disabled`` are left out.

    Args:
        directory: The environment's folder, such as ``config/dev``; None for the shipped formats alone.

    Returns:
        The formats in order of precedence; the last one takes every line.

    Raises:
        LogsluiceError: A file or an entry is wrong: which one, why, and what to do.
    """
    vocabulary = load_vocabulary(directory)
    shipped = _shipped(vocabulary)
    path = None if directory is None else directory / "formats.yaml"
    if path is None or not path.exists():
        return shipped
    file = _read(path)
    own = _formats(path, file.formats, vocabulary)
    left_out = {entry.name for entry in own} | set(file.disabled)
    unknown = sorted(set(file.disabled) - {entry.name for entry in shipped})
    if unknown:
        raise LogsluiceError(f"disabled names {unknown[0]!r}, which is no shipped format", where=str(path))
    if shipped[-1].name in left_out:
        raise LogsluiceError(
            f"the format {shipped[-1].name!r} cannot be replaced or disabled",
            where=str(path),
            why="it takes the lines that no other takes",
        )
    return own + tuple(entry for entry in shipped if entry.name not in left_out)


@lru_cache(maxsize=1)
def _shipped(vocabulary: Vocabulary) -> tuple[Format, ...]:
    pages = sorted(SHIPPED.glob("*.yaml"))
    return load_with_cache(
        "formats",
        lambda: tuple(entry for page in pages for entry in _formats(page, _read(page).formats, vocabulary)),
        lambda formats: (entry.regex for entry in formats if entry.regex is not None),
    )


def _read(path: Path) -> _File:
    return read_entry(_File, read_mapping(path), path=path, kind="file", number=1)


def _formats(path: Path, entries: list[object], vocabulary: Vocabulary) -> tuple[Format, ...]:
    found: dict[str, Format] = {}
    for number, raw in enumerate(entries, start=1):
        entry = read_entry(FormatEntry, raw, path=path, kind="format", number=number)
        where = f"{path}, format {entry.name!r}"
        if entry.name in found:
            raise LogsluiceError("there are two formats of this name", where=where, hint="rename one of them")
        try:
            found[entry.name] = build_format(entry, vocabulary)
        except LogsluiceError as error:
            why = "; ".join(part for part in (error.where, error.why) if part)
            raise LogsluiceError(error.what, where=where, why=why or None, hint=error.hint) from None
    return tuple(found.values())
