"""What texts call by its path is there under that path."""

from __future__ import annotations

import re
from pathlib import Path

from tests.shared.shared_folder import ROOT

ROOMS = ROOT / "src" / "logsluice"
WRITTEN = ("*.md", "docs/*.md", "*.yml", "config/**/*", "helm/**/*", "k8s/**/*", "spark/**/*", "jobs/*", "Makefile")


def test_the_architecture_has_every_room() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    (table,) = re.findall(r"(?ms)^\| room \|.*?\n\n", text)
    named = {room for row in table.strip().splitlines() for room in re.findall(r"`(\w+)/`", row.split("|")[1])}
    assert named == {path.parent.name for path in ROOMS.glob("*/__init__.py")}


def test_no_text_names_a_source_file_that_is_gone() -> None:
    texts = {path: path.read_text() for pattern in WRITTEN for path in ROOT.glob(pattern) if readable(path)}
    source = re.compile(r"src/logsluice/[\w/]+(?:\.\w+)+")
    named = [(path, name) for path, text in texts.items() for name in source.findall(text)]
    assert named
    assert not [f"{path.relative_to(ROOT)}: {name}" for path, name in named if not (ROOT / name).is_file()]


def readable(path: Path) -> bool:
    return path.is_file() and path.suffix not in (".tgz", ".pyc")
