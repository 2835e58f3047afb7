"""``logsluice learn``: proposes entries for the registries from the lines of files that no format takes."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from logsluice.errors import LogsluiceError
from logsluice.extract import Registry, load_registry
from logsluice.inputs.files import STDIN, expand, read_lines
from logsluice.inputs.streams import join
from logsluice.learning import Proposal, Proposals, learn, write_proposals, yaml_text
from logsluice.learning.proposals import MOST_LINES
from logsluice.runtime.terminal import Terminal
from logsluice.settings import config_dir, load_settings


def learn_command(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Files, globs, or - for standard input; gzip and zstd too.")
    ],
    config: Annotated[Path | None, typer.Option(help="Folder of the environment.", show_default="config/dev")] = None,
    write: Annotated[bool, typer.Option("--write", help="Add the entries to the files of that folder.")] = False,
) -> None:
    """Propose entries for the registries from lines that no format takes; the YAML goes to standard output."""
    directory = config or config_dir()
    registry = load_registry(directory)
    time_zone = load_settings(directory).time_zone
    console = Terminal(stderr=True)
    entries: list[Proposal] = []
    for name in expand(files):
        found = _learned(name, registry, time_zone)
        console.print(_table(name, found))
        entries += found.entries
    if not entries:
        console.print("nothing to learn: a format takes every line, or the others have no beginning in common")
        return
    if write:
        for path in write_proposals(entries, directory):
            console.print(f"added to {path}")
        return
    for kind in dict.fromkeys(proposal.registry for proposal in entries):
        own = [dict(proposal.entry) for proposal in entries if proposal.registry == kind]
        Terminal().print(Text(f"# {kind}.yaml\n{yaml_text({kind: own})}"), soft_wrap=True)


def _learned(name: str, registry: Registry, time_zone: str) -> Proposals:
    """What a file teaches; its entries are called after it."""
    path = None if name == STDIN else Path(name)
    events = [event.value for event in islice(join(read_lines(path)), MOST_LINES)]
    stem = "input" if path is None else re.sub(r"[^a-z0-9]+", "-", path.name.split(".")[0].lower()).strip("-")
    try:
        modified = 0.0 if path is None else path.stat().st_mtime
    except OSError as error:
        raise LogsluiceError("cannot be read", where=name, why=error.strerror) from None
    return learn(events, stem or "input", registry, modified_ms=int(modified * 1000), time_zone=time_zone)


def _table(name: str, found: Proposals) -> Table:
    title = f"{name}: {found.unread:,} of {found.lines:,} lines are taken by no format but the generic ones"
    table = Table("entry", "of", "lines it takes", title=title, title_justify="left")
    for proposal in found.entries:
        table.add_row(
            str(proposal.entry.get("name") or ", ".join(proposal.entry["names"])),
            f"{proposal.registry}.yaml",
            f"{proposal.lines:,}",
        )
    return table
