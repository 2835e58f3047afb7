"""What was measured, as tables for people and as JSON for later comparison."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.measuring import Samples, Spread

RESULTS = Path(__file__).with_name("results")


@dataclass(frozen=True, slots=True)
class Claim:
    """A ratio or size and what it should be.

    Attributes:
        name: What is compared.
        value: As measured.
        target: What it should be; None where it is told for information.
        at_most: Whether the target is an upper bound.
        unit: Printed behind the value.
    """

    name: str
    value: Spread
    target: float | None = None
    at_most: bool = False
    unit: str = "x"

    @property
    def holds(self) -> bool | None:
        """Whether the median keeps to the target."""
        if self.target is None:
            return None
        return self.value.median <= self.target if self.at_most else self.value.median >= self.target


@dataclass(slots=True)
class Report:
    """What one benchmark found.

    Attributes:
        title: For people.
        per: What the first column of numbers counts, ``CPU second`` or ``second``.
        samples: By method.
        claims: What follows.
        notes: What else is to be known.
    """

    title: str
    per: str
    samples: dict[str, Samples] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def rates(self, name: str) -> list[float]:
        """Items by the unit of the report, a repetition each."""
        samples = self.samples[name]
        return samples.per_cpu_second() if self.per == "CPU second" else samples.per_second()


def show(report: Report, console: Console) -> None:
    """Print a report."""
    if report.samples:
        first = next(iter(report.samples))
        base = Spread.of(report.rates(first)).median
        columns = ("", f"items per {report.per}", "range", "microseconds each", f"to {first}")
        table = Table(*columns, title=report.title)
        for name in report.samples:
            rate = Spread.of(report.rates(name))
            spread = f"{rate.low:,.0f} to {rate.high:,.0f}"
            table.add_row(name, f"{rate.median:,.0f}", spread, f"{1e6 / rate.median:.1f}", f"{rate.median / base:.2f}")
        console.print(table)
    if report.claims:
        table = Table("", "median", "range", "target", "", title=None if report.samples else report.title)
        for claim in report.claims:
            value, unit = claim.value, claim.unit
            sign = "at most" if claim.at_most else "at least"
            table.add_row(
                claim.name,
                f"{value.median:.2f} {unit}",
                f"{value.low:.2f} to {value.high:.2f}",
                "" if claim.target is None else f"{sign} {claim.target:g} {unit}",
                {None: "", True: "[green]kept[/]", False: "[red]missed[/]"}[claim.holds],
            )
        console.print(table)
    for note in report.notes:
        console.print(note, markup=False)
    console.print()


def save(reports: Mapping[str, Report], options: Mapping[str, Any]) -> Path:
    """Write everything that was measured into a new file under ``bench/results``."""
    RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    path = RESULTS / f"{now:%Y%m%dT%H%M%SZ}.json"
    content = {
        "at": now.isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "load": os.getloadavg()},
        "python": platform.python_version(),
        "options": dict(options),
        "benchmarks": {name: _plain(report) for name, report in reports.items()},
    }
    path.write_text(json.dumps(content, indent=1))
    return path


def _plain(report: Report) -> dict[str, Any]:
    return {
        "title": report.title,
        "methods": {name: asdict(samples) for name, samples in report.samples.items()},
        "claims": [asdict(claim) | {"holds": claim.holds} for claim in report.claims],
        "notes": report.notes,
    }
