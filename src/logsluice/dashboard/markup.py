"""HTML of the few parts that Streamlit has no element for; the template engine escapes what comes out of a log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import jinja2
import polars as pl

STYLE: Final = Path(__file__).with_name("page.css")

_ENVIRONMENT: Final = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
_TITLE: Final = _ENVIRONMENT.from_string(
    '<div class="ls-title"><b>logsluice</b><span class="ls-tag">{{ env }}</span>'
    '{% if note %}<span class="ls-dim">{{ note }}</span>{% endif %}</div>'
)
_HEAD: Final = _ENVIRONMENT.from_string(
    '<div class="ls-head"><b>{{ title }}</b><span class="ls-dim">{{ note }}</span>'
    "{% for name, color in legend.items() %}"
    '<span class="ls-dim"><i style="background:{{ color }}"></i>{{ name }}</span>{% endfor %}</div>'
)
_ALERTS: Final = _ENVIRONMENT.from_string(
    """
<div class="ls-alerts">
{% for alert in alerts %}
  <article class="ls-alert {{ alert.css_class }}">
    <header><span>{{ alert.service }}</span><span class="ls-tag">{{ alert.severity }}</span>
      {% if alert.status == "resolved" %}<span class="ls-tag">resolved</span>{% endif %}</header>
    <div>{{ alert.message }}</div>
    <footer><span>{{ alert.rule }}</span><span>{{ alert.since }}</span>
      {% if alert.url %}<a href="{{ alert.url }}" target="_blank" rel="noopener">log lines</a>{% endif %}</footer>
  </article>
{% endfor %}
</div>
"""
)
_STATE: Final = _ENVIRONMENT.from_string(
    """
<div class="ls-state" role="status"><h3>{{ title }}</h3>{{ text }}
{% if steps %}<ul>{% for command, what in steps %}<li><code>{{ command }}</code> {{ what }}</li>{% endfor %}</ul>
{% endif %}</div>
"""
)


def title(env: str, note: str = "") -> str:
    """The name of the page, with its environment."""
    return _TITLE.render(env=env, note=note)


def head(text: str, note: str = "", legend: Mapping[str, str] | None = None) -> str:
    """The heading of a panel; a legend is names with their colours."""
    return _HEAD.render(title=text, note=note, legend=legend or {})


def alerts(table: pl.DataFrame, now: datetime) -> str:
    """Alerts, each as a card."""
    cards: list[dict[str, Any]] = []
    for row in table.iter_rows(named=True):
        is_open = row["status"] != "resolved"
        css_class = ("critical" if row["severity"] == "critical" else "warning") if is_open else "resolved"
        service = "all services" if row["service"] == "*" else row["service"]
        cards.append(row | {"css_class": css_class, "service": service, "since": _since(row, now)})
    return _ALERTS.render(alerts=cards)


def state(heading: str, text: str, steps: tuple[tuple[str, str], ...] = ()) -> str:
    """What is shown where there is nothing to show: why, and commands with what they do."""
    return _STATE.render(title=heading, text=text, steps=steps)


def age_text(moment: datetime, now: datetime) -> str:
    """How long ago something was, roughly."""
    seconds = (now - moment).total_seconds()
    return (
        "just now"
        if -5 < seconds < 1
        else f"{duration_text(seconds)} ago"
        if seconds > 0
        else f"in {duration_text(-seconds)}"
    )


def duration_text(seconds: float) -> str:
    """A length of time in its two largest units at most."""
    seconds = int(seconds)
    for unit, length, smaller, part in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "", 0)):
        if seconds >= length:
            rest = seconds % length // part if part else 0
            return f"{seconds // length} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{seconds} s"


def _since(row: dict[str, Any], now: datetime) -> str:
    opened, resolved = row["opened"], row["resolved"]
    if opened is None:
        return ""
    if resolved is not None:
        return f"{opened:%Y-%m-%d %H:%M} UTC, lasted {duration_text((resolved - opened).total_seconds())}"
    return f"open for {duration_text(max(0.0, (now - opened).total_seconds()))}, since {opened:%Y-%m-%d %H:%M} UTC"
