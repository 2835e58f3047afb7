"""Loading the vocabulary: an environment's own names first, then the shipped ones."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from logsluice.runtime.yaml_files import read_entry, read_mapping
from logsluice.vocabulary.key_folding import fold
from logsluice.vocabulary.model import Entry, Names, Vocabulary

SHIPPED = Path(str(resources.files("logsluice.vocabulary") / "shipped.yaml"))


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ignored: Names = ()
    vocabulary: list[object] = []


def load_vocabulary(directory: Path | None = None) -> Vocabulary:
    """Load ``vocabulary.yaml`` of an environment, where there is one, and the shipped names.

    Args:
        directory: The environment's folder, such as ``config/dev``; None for the shipped names alone.

    Raises:
        LogsluiceError: A file or an entry is wrong: which one, why, and what to do.
    """
    path = None if directory is None else directory / "vocabulary.yaml"
    if path is None or not path.exists():
        return _shipped()
    file = _read(path)
    return Vocabulary((*_entries(path, file.vocabulary), *_shipped().entries), frozenset(map(fold, file.ignored)))


@lru_cache(maxsize=1)
def _shipped() -> Vocabulary:
    return Vocabulary(_entries(SHIPPED, _read(SHIPPED).vocabulary))


def _read(path: Path) -> _File:
    return read_entry(_File, read_mapping(path), path=path, kind="file", number=1)


def _entries(path: Path, entries: list[object]) -> tuple[Entry, ...]:
    return tuple(
        read_entry(Entry, entry, path=path, kind=f"entry of {_field(entry)}", number=number)
        for number, entry in enumerate(entries, start=1)
    )


def _field(entry: object) -> str:
    return str(entry.get("field")) if isinstance(entry, dict) else "no field"
