"""``logsluice search``: searches the results index, prints a table."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from logsluice.elasticsearch.search import MARK_BEGIN, MARK_END, Found, Search, facts
from logsluice.elasticsearch.search import search as find
from logsluice.runtime.entrypoint import ConfigOption
from logsluice.runtime.terminal import Terminal, json_line, printable
from logsluice.settings import load_settings

_FACTS_SHOWN = 12
_FACT_LENGTH = 80
_LEVEL_STYLES = {
    "trace": "dim",
    "debug": "dim",
    "info": "green",
    "notice": "cyan",
    "warn": "yellow",
    "error": "red",
    "critical": "bold red",
}


def search(
    query: Annotated[str, typer.Argument(help="Words, or Lucene's syntax: 'payment AND user.id:48213'.")],
    since: Annotated[
        str | None,
        typer.Option(help="Only what happened in that time until now, by the event's own clock: 15m, 6h, 2d."),
    ] = None,
    level: Annotated[str | None, typer.Option(help="Only that level and worse: warn, error, ...")] = None,
    size: Annotated[int, typer.Option(min=1, max=10_000, help="The most events.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    config: ConfigOption = None,
) -> None:
    """Find events in the results index, newest first.

    --since goes by the event's own timestamp: old logs that were shipped today are old. Leave it out for those.
    """
    found = find(load_settings(config), Search(query, since, level and level.lower(), size))
    if as_json:
        for hit in found.hits:
            sys.stdout.buffer.write(json_line(hit.document))
        return
    console = Terminal()
    if found.hits:
        console.print(_table(found))
    console.print(_summary(found, since))


def _table(found: Found) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("time (UTC)", no_wrap=True)
    table.add_column("level", no_wrap=True)
    table.add_column("service", overflow="fold")
    table.add_column("message, and the facts in it", overflow="fold", ratio=1)
    for hit in found.hits:
        document = hit.document
        level = str(document.get("log", {}).get("level", ""))
        table.add_row(
            printable(str(document.get("@timestamp", "")))[:23].replace("T", " ").rstrip("Z"),
            Text(printable(level), style=_LEVEL_STYLES.get(level, "")),
            Text(printable(str(document.get("service", {}).get("name", "")))),
            Text("\n").join([highlighted(hit.message, MARK_BEGIN, MARK_END), *_facts(document)]),
        )
    return table


def _facts(document: dict[str, object]) -> list[Text]:
    """The facts as one line, or none where there are none."""
    found = list(facts(document).items())
    shown = [f"{printable(name)}={printable(str(value))[:_FACT_LENGTH]}" for name, value in found[:_FACTS_SHOWN]]
    if len(found) > _FACTS_SHOWN:
        shown.append("…")
    return [Text("  ".join(shown), style="dim")] if shown else []


def _summary(found: Found, since: str | None) -> str:
    if found.hits:
        more = found.total - len(found.hits)
        return _events(len(found.hits)) + (f", {more} more and older" if more > 0 else "")
    if found.older:
        return f"Nothing in the last {since}, but {_events(found.older)} before: leave --since out to see them."
    return "Nothing found."


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count} events"


def highlighted(text: str, begin: str, end: str, style: str = "bold yellow") -> Text:
    """A text in which what stands between two marks is set off."""
    shown = Text()
    for number, part in enumerate(text.split(begin)):
        inside, mark, outside = part.partition(end)
        if number and mark:
            shown.append(printable(inside), style=style)
            shown.append(printable(outside))
        else:
            shown.append(printable(part.replace(end, "")))
    return shown
