"""The Helm releases on a cluster that is already there, by Helm itself: `make releases`, for those without Pulumi."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from . import charts
from .entries import HELM, load_entries
from .namespaces import WORKLOADS
from .settings import PROGRAM

_TIMEOUT = "15m"


def commands(stack: str, folder: Path | None, context: str | None) -> list[list[str]]:
    """Helm's commands, one a release, in their order; each ends when what it installed is ready. Run in `infra/`.

    Args:
        stack: whose releases and values are taken.
        folder: of charts; None: from their repositories.
        context: of the kubeconfig; None: the current one.

    Raises:
        ValueError: the list is wrong, or the folder lacks a chart.
    """
    found = []
    for entry in load_entries(stack):
        chart = charts.find(entry, folder)
        command = ["helm", "upgrade", "--install", entry.name, chart.chart, "--namespace", entry.namespace]
        command += ["--create-namespace", "--wait", "--timeout", _TIMEOUT]
        command += [] if chart.local else ["--version", entry.version]
        command += ["--repo", chart.repository] if chart.repository else []
        command += ["--kube-context", context] if context else []
        for name in ("values.yaml", f"values-{stack}.yaml"):
            path = HELM / entry.name / name
            command += ["--values", str(path)] if path.is_file() else []
        found.append(command)
    return found


def install(stack: str, folder: Path | None, context: str | None) -> None:
    """Install or upgrade every release of a stack, one after another.

    Raises:
        ValueError: see :func:`commands`.
        CalledProcessError: a release is refused, or does not become ready in time; Helm has said why.
    """
    planned = commands(stack, folder, context)
    to = ["--context", context] if context else []
    # Releases go into namespaces of the workloads too: Pod Security holds there from the beginning.
    spaces = ["kubectl", *to, "apply", "-f", str(WORKLOADS)]
    subprocess.run(spaces, check=True)
    for command in planned:
        print(f"{command[3]}: {command[4]}", flush=True)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=PROGRAM)


def main(arguments: Sequence[str] | None = None) -> str | int:
    """The command line; what goes wrong is told in a line."""
    parser = argparse.ArgumentParser(prog="make releases", description=__doc__)
    parser.add_argument("--stack", default="local", help="whose values are taken (local)")
    parser.add_argument("--context", help="of the kubeconfig; else the current one")
    parser.add_argument("--charts", type=Path, help="folder of charts; else their repositories")
    options = parser.parse_args(arguments)
    if missing := [name for name in ("helm", "kubectl") if shutil.which(name) is None]:
        return f"{' and '.join(missing)} must be on PATH"
    try:
        install(options.stack, options.charts and options.charts.resolve(), options.context)
    except ValueError as error:
        return str(error)
    except subprocess.CalledProcessError as error:
        return f"{' '.join(error.cmd[:4])}: ended with {error.returncode}; what is above says why. It can be run again"
    return 0


if __name__ == "__main__":
    sys.exit(main())
