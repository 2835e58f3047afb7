"""``logsluice alerts list|test``: open alerts, and rules tested on past windows."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from logsluice.alerts.backtest import backtest_rules, recorded_alerts
from logsluice.alerts.documents import Alert, alert_json
from logsluice.alerts.rules import load_rules
from logsluice.alerts.windows import moment_of
from logsluice.runtime.entrypoint import ConfigOption
from logsluice.runtime.terminal import Terminal, json_line, printable
from logsluice.runtime.time_expressions import parse_moment
from logsluice.settings import config_dir, load_settings

app = typer.Typer(help="Alerts: what is open, and rules tried on history.", no_args_is_help=True)

_STYLES = {"critical": "bold red", "warning": "yellow"}

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@app.command("list")
def list_alerts(
    since: Annotated[
        str | None, typer.Option(help="Also those that resolved since: 24h, 7d, 2026-11-22T08:30:00.")
    ] = None,
    as_lines: AsJson = False,
    config: ConfigOption = None,
) -> None:
    """Show the alerts that are open, oldest first."""
    alerts = recorded_alerts(load_settings(config), parse_moment(since) if since else datetime.now(UTC))
    shown = alerts if since else [alert for alert in alerts if alert.status == "open"]
    _print(shown, as_lines)
    if not as_lines:
        number = sum(alert.status == "open" for alert in shown)
        Terminal().print(f"{number} open" + (f", {len(shown) - number} resolved" if since else ""))


@app.command("test")
def backtest(
    since: Annotated[str, typer.Option(help="From when on: 24h, 7d, 2026-11-22T08:30:00.")] = "24h",
    rules: Annotated[
        Path | None, typer.Option(help="A file of rules, instead of the environment's alerts.yaml.")
    ] = None,
    as_lines: AsJson = False,
    config: ConfigOption = None,
) -> None:
    """Try rules on the windows that there are: what would have opened and resolved, and when. Nobody is told."""
    directory = config or config_dir()
    settings = load_settings(directory)
    loaded = load_rules(rules or directory)
    backtest = backtest_rules(settings, loaded, parse_moment(since))
    _print(backtest.alerts, as_lines)
    if as_lines:
        return
    console = Terminal(soft_wrap=True)
    if not backtest.windows:
        console.print(
            f"There are no windows since {since} in {settings.windows_index}: the windows job writes them.",
        )
        return
    counts = Counter(alert.key.rule for alert in backtest.alerts)
    summary = ", ".join(f"{name} {count}" for name, count in counts.most_common())
    console.print(
        f"{len(backtest.alerts)} alerts" + (f" ({summary})" if summary else "")
        + f" from {len(loaded)} rules, {backtest.services} services, {backtest.windows} windows since {since}",
    )  # fmt: skip
    for name, services in backtest.without_baseline.items():
        console.print(f"{name}: too little history yet of {printable(', '.join(services))}")


def _print(alerts: Iterable[Alert], as_lines: bool) -> None:
    if as_lines:
        for alert in alerts:
            sys.stdout.buffer.write(json_line(alert_json(alert)))
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("opened (UTC)", no_wrap=True)
    table.add_column("resolved", no_wrap=True)
    table.add_column("min", justify="right", no_wrap=True)
    table.add_column("severity", no_wrap=True)
    table.add_column("rule", no_wrap=True)
    table.add_column("what", overflow="fold", ratio=1)
    for alert in alerts:
        episode = alert.episode
        end = episode.resolved
        table.add_row(
            f"{moment_of(episode.opened):%Y-%m-%d %H:%M}",
            f"{moment_of(end):%H:%M}" if end is not None else Text("open", "bold"),
            str((episode.last + 1 if end is None else end) - episode.opened),
            Text(alert.severity, _STYLES[alert.severity]),
            alert.key.rule,
            Text(printable(episode.detection.text)),
        )
    if table.row_count:
        Terminal().print(table)
