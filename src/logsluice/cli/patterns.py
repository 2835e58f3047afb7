"""``logsluice patterns``: checks the registry against its examples, or shows what a line gives."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.table import Table
from rich.text import Text

from logsluice.errors import LogsluiceError
from logsluice.extract import ColumnarExtractor, Registry, documents, input_columns, load_registry
from logsluice.extract.explanation import explain
from logsluice.formats.examples import check_examples
from logsluice.runtime.terminal import Terminal, printable
from logsluice.settings import config_dir, load_settings

app = typer.Typer(help="What is looked for in every message.", no_args_is_help=True)


@app.callback()
def _patterns() -> None:
    """What is looked for in every message."""


@app.command()
def check(
    line: Annotated[str | None, typer.Argument(help="A log line to try the registry on.", show_default=False)] = None,
    config: Annotated[Path | None, typer.Option(help="Folder of the environment.", show_default="config/dev")] = None,
    explained: Annotated[
        bool, typer.Option("--explain", help="Show for each field of the line what gave it, and what else competed.")
    ] = False,
) -> None:
    """Hold formats and patterns to their own examples; with a line, show what is found in it."""
    directory = config or config_dir()
    registry = load_registry(directory)
    console = Terminal()
    if explained and line is None:
        raise LogsluiceError("there is no line to explain", hint="logsluice patterns check --explain 'a line'")
    if line is not None and explained:
        _explain_line(line, registry, load_settings(directory).time_zone, console)
        return
    if line is not None:
        _show_line(line, registry, load_settings(directory).time_zone, console)
        return
    problems = check_examples(registry.formats)
    console.print(_pattern_table(registry))
    examples = sum(len(entry.examples) for entry in registry.formats)
    console.print(f"{len(registry.formats)} formats, {examples} examples of theirs; revision {registry.revision}")
    if problems:
        raise LogsluiceError(
            problems[0], where="formats", why=f"one of {len(problems)}", hint="correct the format or its example"
        )


def _explain_line(line: str, registry: Registry, time_zone: str, console: Terminal) -> None:
    now_ms = int(time.time() * 1000)
    explanation = explain(line.encode(errors="surrogateescape"), registry, seen_ms=now_ms, time_zone=time_zone)
    for layer in explanation.layers:
        others = f"; {', '.join(layer.others)} would take it too" if layer.others else ""
        console.print(Text("format ") + Text(layer.format, "bold") + Text(others))
    table = Table("field", "value", "given by", "competed")
    for provenance in explanation.fields:
        competed = "\n".join(
            printable(f"{candidate.origin}: {candidate.value}") for candidate in provenance.competitors
        )
        origin = provenance.origin or "other fields"
        value = printable(str(provenance.value))
        table.add_row(*(Text(cell) for cell in (provenance.field, value, origin, competed)))
    console.print(table)


def _pattern_table(registry: Registry) -> Table:
    table = Table("pattern", "fills", "engine", "examples", title="Patterns", title_justify="left")
    for pattern in registry.patterns.patterns:
        regex = pattern.compiled
        engine = "linear time" if regex.rust else f"re, bounded in time: {regex.reason}"
        if regex.needs_ascii or regex.needs_no_final_newline:
            engine += "; re for non-ASCII text" if regex.needs_ascii else "; re before a final newline"
        fills = ", ".join(dict.fromkeys(fact.field for fact in pattern.fields.values()))
        examples = len(pattern.examples) + len(pattern.counterexamples)
        table.add_row(pattern.name, fills or "-", Text(engine), f"{examples} kept")
    return table


def _show_line(line: str, registry: Registry, time_zone: str, console: Terminal) -> None:
    now_ms = int(time.time() * 1000)
    batch = input_columns([line.encode(errors="surrogateescape")], [now_ms])
    extracted = ColumnarExtractor(registry, time_zone).extract(batch)
    reason = extracted["reason"][0].as_py()
    if reason is not None:
        raise LogsluiceError("would go to the dead letters", where="this line", why=reason)
    console.print(Text("format ") + Text(extracted["event.dataset"][0].as_py(), "bold"))
    table = Table("pattern", "finds")
    found = set(extracted["logsluice.patterns"][0].as_py() or ())
    fields = {name: extracted[name][0].as_py() for name in extracted.schema.names}
    for pattern in registry.patterns.patterns:
        if pattern.name in found:
            filled = dict.fromkeys(fact.field for fact in pattern.fields.values())
            facts = ", ".join(f"{name} = {fields[name]}" for name in filled if fields.get(name) is not None)
            table.add_row(pattern.name, Text(printable(facts)))
    console.print(table if found else "no pattern is found in its message")
    document = documents(extracted)[0]
    if document is not None:
        text = orjson.dumps(orjson.loads(document), option=orjson.OPT_INDENT_2).decode()
        console.print_json(text, ensure_ascii=False)
