"""``logsluice dlq list|replay``: dead letters, and their replay."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from logsluice.extract import load_registry
from logsluice.jobs.dead_letter_replay import StoredLetter, read_letters
from logsluice.jobs.dead_letter_replay import replay as try_again
from logsluice.kafka.dead_letters import DeadLetter
from logsluice.runtime.entrypoint import ConfigOption
from logsluice.runtime.terminal import Terminal, json_line, printable
from logsluice.settings import config_dir, load_settings

app = typer.Typer(help="Dead letters: what could not be read or written.", no_args_is_help=True)

_FIRST_BYTES = 80

Reason = Annotated[str | None, typer.Option(help="Only those with this reason.")]
Consumer = Annotated[str | None, typer.Option(help="Only those of this consumer: regex or index.")]


@app.command("list")
def list_letters(
    reason: Reason = None,
    consumer: Consumer = None,
    limit: Annotated[int, typer.Option(min=1, help="The most letters, newest first.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with the whole event.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show the dead letters, newest first; those that were replayed are gone."""
    longest = None if as_json else _FIRST_BYTES
    letters = read_letters(load_settings(config), _filter(reason, consumer, None), longest=longest)
    shown = letters[: -limit - 1 : -1]
    if as_json:
        for entry in shown:
            sys.stdout.buffer.write(json_line(_as_json(entry)))
        return
    console = Terminal()
    if shown:
        console.print(_table(shown))
    counts = Counter(entry.letter.reason for entry in letters)
    summary = ", ".join(f"{name} {count}" for name, count in counts.most_common())
    console.print(f"{len(letters)} dead letters" + (f": {summary}" if summary else ""))


@app.command("replay")
def replay(
    reason: Reason = None,
    consumer: Consumer = None,
    event_id: Annotated[str | None, typer.Option("--id", help="Only this event.")] = None,
    config: ConfigOption = None,
) -> None:
    """Try dead letters again, under their events' own ids, with the registry as it is now.

    What fails again stays where it is, and is told.
    """
    directory = config or config_dir()
    settings = load_settings(directory)
    letters = [entry.letter for entry in read_letters(settings, _filter(reason, consumer, event_id))]
    console = Terminal(soft_wrap=True)
    if not letters:
        console.print("No dead letters to replay.")
        return
    outcome = try_again(settings, load_registry(directory), letters)
    for failure in outcome.failed:
        letter = failure.letter
        console.print(f"{letter.consumer}/{letter.event_id}: {printable(failure.reason)}")
    console.print(f"{len(outcome.replayed)} replayed, {len(outcome.failed)} failed again and stay")


def _filter(reason: str | None, consumer: str | None, event_id: str | None) -> Callable[[DeadLetter], bool]:
    def selected(letter: DeadLetter) -> bool:
        return (
            (reason is None or letter.reason == reason)
            and (consumer is None or letter.consumer == consumer)
            and (event_id is None or str(letter.event_id) == event_id)
        )

    return selected


def _table(entries: list[StoredLetter]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("time (UTC)", no_wrap=True)
    table.add_column("consumer", no_wrap=True)
    table.add_column("reason", no_wrap=True)
    table.add_column("bytes", justify="right", no_wrap=True)
    table.add_column("event, detail, first bytes", overflow="fold")
    for entry in entries:
        letter = entry.letter
        lines = [Text(str(letter.event_id), style="bold")]
        if letter.detail:
            lines.append(Text(printable(letter.detail)))
        if letter.value:
            lines.append(Text(printable(letter.value.decode("utf-8", "replace")), style="dim"))
        when = entry.time[:19].replace("T", " ")
        table.add_row(when, letter.consumer, letter.reason, str(entry.size), Text("\n").join(lines))
    return table


def _as_json(entry: StoredLetter) -> dict[str, object]:
    letter = entry.letter
    return {
        "time": entry.time,
        "consumer": letter.consumer,
        "event_id": str(letter.event_id),
        "reason": letter.reason,
        "detail": letter.detail,
        "bytes": entry.size,
        "value": None if letter.value is None else letter.value.decode("utf-8", "replace"),
    }
