"""``logsluice demo``: the whole pipeline with demo traffic, live on the terminal."""

from __future__ import annotations

import contextlib
import os
import sys
import webbrowser
from pathlib import Path
from threading import Event, Thread
from typing import Annotated

import httpx
import typer
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from logsluice.dashboard.server import HEALTH
from logsluice.dashboard.server import url as dashboard_url
from logsluice.demo.pipeline import Job, RunningJob, Snapshot, count_searchable, demo_jobs, running, take_snapshot
from logsluice.elasticsearch.client import connect
from logsluice.errors import LogsluiceError
from logsluice.extract import load_registry
from logsluice.provision.setup import run_setup
from logsluice.runtime.retry import stop_on_signals
from logsluice.runtime.terminal import Terminal
from logsluice.settings import Settings, config_dir, load_settings
from logsluice.stack.ports import check_free, local_port
from logsluice.stack.supervisor import LocalStack

_REFRESH_SECONDS = 1.0


def demo(
    rate: Annotated[float, typer.Option(min=1, help="Events a second that the shop produces.")] = 300,
    events: Annotated[
        int, typer.Option(min=1, help="Without a terminal: end when so many new events are searchable.")
    ] = 5_000,
    timeout: Annotated[float, typer.Option(min=10, help="Without a terminal: give up after so many seconds.")] = 600,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="On a desktop's terminal: show the dashboard in a browser.")
    ] = True,
) -> None:
    """Run it all: Kafka and Elasticsearch, a shop's traffic, every job, the dashboard, and a live table of it.

    On a terminal it goes on until Ctrl-C. Kafka and Elasticsearch keep running, so that the facts stay searchable.
    """
    stop = stop_on_signals()
    console = Terminal()
    settings = load_settings()
    jobs = demo_jobs(settings, rate)
    for job in jobs:
        if job.script:
            check_free(job.port, f"the metrics of job {job.name}", "LOGSLUICE_METRICS__*")
        else:
            check_free(job.port, f"the {job.name}", f"LOGSLUICE_{job.name.upper()}__PORT")
    environment = _start_stack(settings, console)
    os.environ.update(environment)
    settings = load_settings()
    run_setup(settings, load_registry(config_dir()).fields, stop=stop)
    client = connect(settings.elasticsearch)
    before = count_searchable(settings, client)
    logs = settings.home.absolute() / "logs"
    with contextlib.ExitStack() as cleanup:
        with console.status("waiting until the jobs read"):
            started = cleanup.enter_context(running(jobs, logs, os.environ, stop))
        console.print(f"Dashboard: {dashboard_url(settings.dashboard)}")
        if open_browser and _is_desktop():
            Thread(target=_show_in_browser, args=(settings, stop), daemon=True).start()
        if sys.stdout.isatty():
            last = _watch(settings, jobs, started, stop, console)
        else:
            last = _until(before + events, settings, jobs, started, stop, timeout)
    if not sys.stdout.isatty():
        console.print(screen(last[0], last[1], settings))
    console.print(_next_commands(settings, logs))


def _start_stack(settings: Settings, console: Terminal) -> dict[str, str]:
    ports = (
        local_port(settings.kafka.bootstrap_servers, 9092),
        local_port(settings.elasticsearch.hosts, 9200),
    )
    if None in ports:
        raise LogsluiceError("the demo runs Kafka and Elasticsearch on this machine, but the settings lead elsewhere")
    secure = settings.kafka.security_protocol == "SASL_SSL"
    stack = LocalStack(settings.home, ports[0] or 0, ports[1] or 0, secure=secure, report=console.print)
    stack.fetch()
    with console.status("waiting until Kafka and Elasticsearch answer"):
        stack.start()
    return stack.environment()


def _is_desktop() -> bool:
    """Whether a browser could be opened where the user sees it."""
    if not sys.stdout.isatty() or os.environ.get("SSH_CONNECTION"):
        return False
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _show_in_browser(settings: Settings, stop: Event) -> None:
    """Open the dashboard as soon as it answers."""
    url = dashboard_url(settings.dashboard)
    while not stop.wait(_REFRESH_SECONDS):
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url + HEALTH).is_success:
                webbrowser.open(url)
                return


def _watch(
    settings: Settings, jobs: tuple[Job, ...], started: list[RunningJob], stop: Event, console: Terminal
) -> tuple[Snapshot, Snapshot]:
    client = connect(settings.elasticsearch)
    earlier = now = take_snapshot(settings, jobs, client)
    with Live(screen(earlier, now, settings), console=console, auto_refresh=False) as live:
        while not stop.wait(_REFRESH_SECONDS):
            for job in started:
                job.check()
            earlier, now = now, take_snapshot(settings, jobs, client, now)
            live.update(Group(screen(earlier, now, settings), Text("Ctrl-C ends the demo", "dim")), refresh=True)
    return earlier, now


def _until(
    searchable: int, settings: Settings, jobs: tuple[Job, ...], started: list[RunningJob], stop: Event, timeout: float
) -> tuple[Snapshot, Snapshot]:
    client = connect(settings.elasticsearch)
    first = now = take_snapshot(settings, jobs, client)
    deadline = now.at + timeout
    while now.searchable < searchable and not stop.wait(_REFRESH_SECONDS):
        for job in started:
            job.check()
        now = take_snapshot(settings, jobs, client, now)
        if not now.facts:
            first = now
        if now.at > deadline:
            raise LogsluiceError(
                f"only {now.searchable} events are searchable after {timeout:.0f} s",
                hint=f"see the jobs' logs in {settings.home / 'logs'}",
            )
    return first, now


def screen(earlier: Snapshot, now: Snapshot, settings: Settings) -> RenderableType:
    """What flowed between two snapshots, as the tables of the demo."""
    seconds = max(now.at - earlier.at, 1e-9)
    flow = Table("", "events", "a second", title="Flow", title_justify="left")
    for name, before, after in (
        ("produced", earlier.produced, now.produced),
        (settings.logs_index, earlier.raw, now.raw),
        (settings.results_index, earlier.facts, now.facts),
    ):
        flow.add_row(name, f"{after:,}", f"{(after - before) / seconds:,.0f}")
    flow.add_row("searchable facts", f"{now.searchable:,}", "")
    flow.add_row("finished windows", f"{now.windows:,}", "")
    health = Table("", "", title="Health", title_justify="left", show_header=False)
    for group, behind in sorted(now.lag.items()):
        health.add_row(f"lag of {group}", f"{behind:,}")
    if now.latency is not None:
        health.add_row("median time to facts", f"within {now.latency:g} s")
    health.add_row("open alerts", f"{now.alerts:,}")
    for reason, count in now.dead_letters.most_common():
        health.add_row(f"dead letters: {reason}", f"{count:,}")
    return Columns(
        [
            Group(flow, health),
            _counts("Matches by pattern", now.patterns),
            _counts("Errors by service", now.errors),
        ],
        padding=(0, 3),
    )


def _counts(title: str, counted: dict[str, int]) -> Table:
    table = Table("", "events", title=title, title_justify="left")
    for name, count in sorted(counted.items(), key=lambda item: -item[1]):
        table.add_row(name, f"{count:,}")
    return table


def _next_commands(settings: Settings, logs: Path) -> RenderableType:
    lines = [
        "Kafka and Elasticsearch keep running; the facts stay searchable:",
        "  .venv/bin/logsluice search 'payment' --level error --since 15m",
        "  .venv/bin/logsluice search 'user.id:*' --json | head",
        "  .venv/bin/logsluice ship /var/log/dpkg.log   (your own files; start the jobs again to see their facts)",
        "  .venv/bin/logsluice dlq list",
        "  .venv/bin/logsluice dashboard",
        f"  {settings.elasticsearch.hosts}/{settings.results_index}/_search",
        f"The jobs' own logs are in {logs}. To stop the servers: .venv/bin/logsluice down",
    ]
    return Text("\n".join(lines))
