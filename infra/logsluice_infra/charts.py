"""Where a chart is taken from: its repository, or a folder of charts for sites with no way out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .entries import ReleaseEntry
from .settings import PROGRAM, ROOT


@dataclass(frozen=True)
class Chart:
    """A chart as Helm finds it.

    Attributes:
        chart: its name in the repository, its `oci://` address, or its path.
        repository: the repository's address; None where `chart` says it all.
        local: `chart` is a path.
    """

    chart: str
    repository: str | None
    local: bool

    def template_options(self, version: str) -> dict[str, Any]:
        """The same for the Kubernetes provider's function that renders a chart."""
        if self.local:
            return {"path": self.chart}
        fetch = {"fetch_opts": {"repo": self.repository}} if self.repository else {}
        return {"chart": self.chart, "version": version, **fetch}


def find(entry: ReleaseEntry, charts: Path | None) -> Chart:
    """The chart of a release.

    Args:
        entry: the release.
        charts: a folder of charts, unpacked or as Helm packs them; None: the release's repository.

    Raises:
        ValueError: when the folder has it in no form.
    """
    if charts is None:
        if entry.repository.startswith("oci://"):
            return Chart(f"{entry.repository.rstrip('/')}/{entry.chart}", None, local=False)
        return Chart(entry.chart, entry.repository, local=False)
    candidates = [f"{entry.chart}-{entry.version}.tgz", entry.chart, f"{entry.chart}-{entry.version}", entry.name]
    for name in candidates:
        path = charts / name
        if path.is_file() or (path / "Chart.yaml").is_file():
            return Chart(os.path.relpath(path, PROGRAM) if path.is_relative_to(ROOT) else str(path), None, local=True)
    raise ValueError(f"logsluice:charts: {charts} has no chart {entry.chart} (looked for {', '.join(candidates)})")
