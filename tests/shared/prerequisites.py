"""What `make test-k8s` needs beside Python: a line for each part that is missing, with how it is had.

``python -m tests.shared.prerequisites FOLDER`` first builds with Go, pinned, what Go can build, into the folder; the
folder is on PATH already.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.shared.shared_folder import DEFINITIONS, TOOLS, compose_command, found

CHARTS = "LOGSLUICE_CHARTS"
KUBECONFIG = "LOGSLUICE_TEST_KUBECONFIG"
SECONDS = 900


class Part(NamedTuple):
    """Something that tests need.

    Attributes:
        name: What it is.
        is_here: Whether the tests will find it.
        instructions: How it is had.
        module: The Go module that Go can build it from, if it can.
    """

    name: str
    is_here: Callable[[], bool]
    instructions: str
    module: str | None = None


def _built_by_go(name: str, module: str) -> Part:
    return Part(name, lambda: found(name) is not None, f"go install {module}", module)


def _has_control_plane() -> bool:
    return bool(os.environ.get(KUBECONFIG)) or (TOOLS / "control-plane").is_file() or found("kwokctl") is not None


PARTS = (
    Part(
        "kubectl",
        lambda: found("kubectl") is not None,
        "https://kubernetes.io/docs/tasks/tools (1.30 or newer; Debian 12's is too old)",
    ),
    _built_by_go("helm", "helm.sh/helm/v3/cmd/helm@v3.22.0"),
    _built_by_go("kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0"),
    _built_by_go("actionlint", "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"),
    Part(
        "a control plane",
        _has_control_plane,
        f"go install sigs.k8s.io/kwok/cmd/kwokctl@v0.8.0 (it fetches Kubernetes itself), or let {KUBECONFIG} name a "
        "cluster that the tests may fill and empty",
        "sigs.k8s.io/kwok/cmd/kwokctl@v0.8.0",
    ),
    Part("Compose v2", lambda: compose_command() is not None, "with Docker: https://docs.docker.com/compose/install"),
    Part(
        "the operators' definitions",
        lambda: DEFINITIONS.is_dir() or bool(os.environ.get(CHARTS)),
        "make charts (they are in the charts)",
    ),
    Part("the charts' sources", lambda: bool(os.environ.get(CHARTS)), "make charts (helm fetches them, pinned)"),
)


def missing(parts: tuple[Part, ...] = PARTS) -> Iterator[str]:
    """A line for each part that is not here."""
    for part in parts:
        if not part.is_here():
            yield f"{part.name}: not here, so the tests that need it are left out; {part.instructions}"


def build(folder: Path, parts: tuple[Part, ...] = PARTS) -> Iterator[str]:
    """Build with Go what is missing; a line for each that could not be built."""
    go = shutil.which("go")
    for part in parts:
        if go is None or part.module is None or part.is_here():
            continue
        print(f"building {part.module}", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0"}
        run = subprocess.run(
            [go, "install", part.module], env=environment, capture_output=True, text=True, timeout=SECONDS
        )
        if run.returncode:
            yield f"{part.module} could not be built: {(run.stderr.strip().splitlines() or ['no reason given'])[-1]}"


if __name__ == "__main__":
    for line in (*build(Path(sys.argv[1]).absolute()), *missing()):
        print(line)
