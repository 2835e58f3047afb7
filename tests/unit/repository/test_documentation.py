"""The documents: a README that is read to its end, links that lead somewhere, commands that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from logsluice.cli.main import app
from tests.shared.shared_folder import ROOT

LEFT_OUT = {".tools", "charts", "node_modules", "artifacts", "reports", ".git"}
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("[!.]*/**/*.md"), *(ROOT / ".github").rglob("*.md")]
    if not LEFT_OUT & set(path.relative_to(ROOT).parts)
)
README_LINES = 140
PICTURE_BYTES = 200_000
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def anchor(heading: str) -> str:
    """The name by which a heading is linked to, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    text = re.sub(r"(?ms)^\s*```.*?^\s*```", "", page.read_text("utf-8"))
    return {anchor(heading) for heading in re.findall(r"(?m)^#+ (.*)$", text)}


def code(text: str) -> list[str]:
    """Blocks for a shell, and what stands in backquotes."""
    return re.findall(r"(?ms)^\s*```(?:sh|console)\n(.*?)^\s*```", text) + re.findall(r"`([^`\n]+)`", text)


def commands(text: str) -> list[list[str]]:
    """What is said of `logsluice` as a command, word by word, in code."""
    found = []
    for part in code(text):
        for line in part.splitlines():
            for arguments in re.findall(
                r"(?:^|/bin/|(?<!-n)(?<!create)[\s|])logsluice ((?:[a-z][a-z-]*\s?)+)", line.split(" #")[0]
            ):
                found.append(arguments.split())
    return found


def is_command(words: list[str]) -> bool:
    """Whether the first words are a command; what follows a command without subcommands are its arguments."""
    command: Any = typer.main.get_command(app)
    for word in words:
        if not hasattr(command, "get_command"):
            return True
        command = command.get_command(None, word)
        if command is None:
            return False
    return True


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= README_LINES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"(?ms)^\s*```.*?^\s*```", "", page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, part = target.partition("#")
        there = (page.parent / name) if name else page
        assert there.exists(), f"{page.relative_to(ROOT)}: {target}"
        if part and there.suffix == ".md":
            assert part in anchors(there) or f'id="{part}"' in there.read_text("utf-8"), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_is_there(page: Path) -> None:
    text = page.read_text("utf-8")
    for target in re.findall(r"(?m)(?:^\s*|&& |sudo )make ([a-z][a-z0-9-]*)", "\n".join(code(text))):
        assert target in TARGETS, f"{page.relative_to(ROOT)}: make {target}"
    for words in commands(text):
        assert is_command(words), f"{page.relative_to(ROOT)}: logsluice {' '.join(words)}"


def test_a_command_that_is_not_there_is_seen() -> None:
    documented = commands(
        "`logsluice serch x` and\n```sh\n.venv/bin/logsluice dlq reply --reason x # logsluice nothing\n```\n"
    )
    assert sorted(documented) == [["dlq", "reply"], ["serch", "x"]]
    assert not any(map(is_command, documented))
    assert is_command(["dlq", "replay"])
    assert is_command(["search", "payment"])


def test_pictures_are_small() -> None:
    pictures = list((ROOT / "docs" / "images").glob("*.png"))
    assert pictures
    for picture in pictures:
        assert picture.stat().st_size <= PICTURE_BYTES, picture
