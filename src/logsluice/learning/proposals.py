"""What a file teaches: entries for an environment's registries, held to the rules that the user's own are held to."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import yaml

from logsluice.extract import ColumnarExtractor, Registry, input_columns, load_registry
from logsluice.extract.file_prior import LAST_RESORTS
from logsluice.learning.headers import learn_formats
from logsluice.learning.keys import learn_keys

MOST_LINES: Final = 20_000
"""Of a file are learned from."""

Registries = Literal["formats", "patterns", "vocabulary"]


class Proposal(NamedTuple):
    """One entry.

    Attributes:
        registry: The file that it belongs to, without its ending.
        entry: As it stands in YAML.
        lines: How many of the file's lines it would take.
    """

    registry: Registries
    entry: Mapping[str, Any]
    lines: int


class Proposals(NamedTuple):
    """What a file teaches.

    Attributes:
        entries: In the order in which they should stand.
        lines: How many lines were looked at.
        unread: How many of them no format took, or only one of the last resorts.
    """

    entries: Sequence[Proposal]
    lines: int
    unread: int


def learn(
    lines: Sequence[bytes], name: str, registry: Registry, *, modified_ms: int, time_zone: str = "UTC"
) -> Proposals:
    """Propose entries for a file's lines.

    Args:
        lines: Events of the file; the first :data:`MOST_LINES` count.
        name: What the entries are called after: letters, digits, ``.``, ``-`` and ``_``.
        registry: What is known already.
        modified_ms: When the file was written last, milliseconds since the epoch.
        time_zone: IANA zone of times that name none.
    """
    lines = lines[:MOST_LINES]
    if not lines:
        return Proposals([], 0, 0)
    extracted = ColumnarExtractor(registry, time_zone).extract(input_columns(lines, [modified_ms] * len(lines)))
    datasets = extracted["event.dataset"].to_pylist()
    reasons = extracted["reason"].to_pylist()
    texts = [line.decode("utf-8", "replace") for line in lines]
    unread = [
        text
        for text, dataset, reason in zip(texts, datasets, reasons, strict=True)
        if reason is None and (dataset or LAST_RESORTS[0]).startswith(LAST_RESORTS)
    ]
    reference = _iso(modified_ms)
    entries = [
        Proposal("formats", learned.entry.model_dump(mode="json", exclude_defaults=True), learned.lines)
        for learned in learn_formats(unread, name, reference)
    ]
    messages = [
        message for message, reason in zip(extracted["message"].to_pylist(), reasons, strict=True) if reason is None
    ]
    keys = learn_keys(messages, registry.formats[-1].vocabulary)
    entries += [
        Proposal("vocabulary", name.entry.model_dump(mode="json", exclude_defaults=True), name.lines)
        for name in keys.names
    ]
    entries += [
        Proposal("patterns", found.pattern.model_dump(mode="json", exclude_defaults=True), found.lines)
        for found in keys.patterns
    ]
    return Proposals(entries, len(lines), len(unread))


def write_proposals(proposals: Iterable[Proposal], directory: Path) -> list[Path]:
    """Add entries to the files of an environment's folder, in front of those that are there.

    The files are held to the registry's rules before they take the place of the old ones. Comments in them are lost
    where entries are added; a file that is not added to stays as it is.

    Returns:
        The files that were changed.

    Raises:
        LogsluiceError: With the entries the registry would be wrong: which one, why. Nothing was changed then.
    """
    by_registry: dict[Registries, list[Mapping[str, Any]]] = {}
    for proposal in proposals:
        by_registry.setdefault(proposal.registry, []).append(proposal.entry)
    with tempfile.TemporaryDirectory() as name:
        trial = Path(name) / "config" / directory.name
        shutil.copytree(directory, trial)
        common = directory.resolve().parent / "common"
        if common.is_dir():
            shutil.copytree(common, trial.parent / "common")
        changed = {registry: _added(trial, registry, entries) for registry, entries in by_registry.items()}
        load_registry(trial)
        for registry, text in changed.items():
            (directory / f"{registry}.yaml").write_text(text, encoding="utf-8")
    return [directory / f"{registry}.yaml" for registry in changed]


def _added(directory: Path, registry: Registries, entries: Sequence[Mapping[str, Any]]) -> str:
    path = directory / f"{registry}.yaml"
    before: dict[str, Any] = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.exists() else {}
    names = {entry.get("name") for entry in entries} - {None}
    earlier = [entry for entry in before.get(registry, ()) if entry.get("name") not in names and entry not in entries]
    after = {**before, registry: [*entries, *earlier]}
    if registry == "patterns":
        after["revision"] = int(before.get("revision", 0)) + 1
    text = yaml_text(after)
    path.write_text(text, encoding="utf-8")
    return text


def yaml_text(content: Mapping[str, Any]) -> str:
    """Entries as YAML, in the order that they have."""
    return yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=120)


def _iso(modified_ms: int) -> str:
    return datetime.fromtimestamp(modified_ms / 1000, UTC).isoformat()
