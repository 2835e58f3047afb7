"""``logsluice load``: load test of the HTTP API."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from logsluice.demo.load_plan import Load
from logsluice.errors import LogsluiceError
from logsluice.runtime.terminal import Terminal, printable
from logsluice.settings import load_settings

_REASONS_SHOWN = 5
_REASON_LENGTH = 120


def load(
    url: Annotated[
        str | None, typer.Argument(help="Of the API.", show_default="where the settings have it on this machine")
    ] = None,
    rate: Annotated[float, typer.Option(min=0.1, help="Events a second.")] = 100,
    seconds: Annotated[float, typer.Option(min=1, help="How long.")] = 30,
    size: Annotated[int, typer.Option(min=40, max=100_000, help="Characters of a message.")] = 200,
    batch: Annotated[int, typer.Option(min=1, max=10_000, help="Events of a post.")] = 1,
    errors: Annotated[float, typer.Option(min=0, max=1, help="Share of the events that are errors.")] = 0.05,
    key: Annotated[
        str | None,
        typer.Option(envvar="LOGSLUICE_API_KEY", show_envvar=True, help="An API key, where the API asks for one."),
    ] = None,
) -> None:
    """Post made-up events to the HTTP API at a set rate, and show how long the answers took; Ctrl-C ends it early.

    Exits with 1 where no post was taken.
    """
    if find_spec("locust") is None:
        raise LogsluiceError("locust is not installed", hint="install logsluice with its extra: logsluice[load]")
    # It takes gevent for Python's sockets, which nothing else should.
    from logsluice.demo.load import run_load

    settings = load_settings().api
    load = Load(url or f"http://127.0.0.1:{settings.port}", key, rate, seconds, size, batch, errors)
    console = Terminal()
    console.print(
        f"posting {rate:g} events a second to {printable(load.url)} for {seconds:g} s, {batch} a post, from "
        f"{load.users} clients",
        soft_wrap=True,
    )
    outcome = run_load(load)
    table = Table("posts", "failed", "posts/s", "events/s", "p50", "p95", "p99", "slowest")
    table.add_row(
        str(outcome.requests),
        str(outcome.failures),
        f"{outcome.requests / outcome.seconds:.1f}",
        f"{outcome.events / outcome.seconds:.1f}",
        *(f"{latency * 1_000:.0f} ms" for latency in outcome.latencies),
        f"{outcome.slowest * 1_000:.0f} ms",
    )
    console.print(table)
    for reason, number in outcome.reasons[:_REASONS_SHOWN]:
        console.print(Text(f"{number} failed: {printable(reason)[:_REASON_LENGTH]}", "red"))
    if outcome.failures == outcome.requests:
        raise LogsluiceError("no post was taken", where=load.url, hint="is it `logsluice api`, and is the key right?")
