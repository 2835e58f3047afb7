"""What `make test-k8s` says on a machine that has nothing of what it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.shared.shared_folder import ROOT

PARTS = ["kubectl", "helm", "kubeconform", "actionlint", "a control plane", "Compose v2", "the operators' definitions"]
PARTS += ["the charts' sources"]
BUILT = {
    "helm.sh/helm/v3/cmd/helm": "helm",
    "github.com/yannh/kubeconform/cmd/kubeconform": "kubeconform",
    "github.com/rhysd/actionlint/cmd/actionlint": "actionlint",
    "sigs.k8s.io/kwok/cmd/kwokctl": "kwokctl",
}


def _output(folder: Path, *programs: str) -> list[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOGSLUICE_")}
    environment = {**kept, "PATH": ":".join(programs), "LOGSLUICE_SHARED": str(folder / "nothing")}
    command = [sys.executable, "-m", "tests.shared.prerequisites", str(folder / "bin")]
    done = subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.splitlines()


def test_each_missing_part_is_said_in_a_line_with_how_it_is_had(tmp_path: Path) -> None:
    lines = _output(tmp_path, str(tmp_path))
    assert [line.split(":")[0] for line in lines] == PARTS
    assert all(line.partition("; ")[2] for line in lines)


def test_go_builds_what_it_can_pinned(tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.write_text(
        '#!/bin/sh\nname="${2##*/}"; name="${name%@*}"; echo "#!" > "$GOBIN/$name"; chmod +x "$GOBIN/$name"\n'
    )
    go.chmod(0o755)
    lines = _output(tmp_path, str(tmp_path), str(tmp_path / "bin"), "/usr/bin", "/bin")
    built = [line.removeprefix("building ").split("@") for line in lines if line.startswith("building ")]
    assert [module for module, _ in built] == list(BUILT)
    assert all(version.startswith("v") for _, version in built)
    assert {path.name for path in (tmp_path / "bin").iterdir()} == set(BUILT.values())
    assert not {line.split(":")[0] for line in lines} & {"helm", "kubeconform", "actionlint", "a control plane"}


def test_what_go_cannot_build_is_said_in_a_line(tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho 'go: downloading' >&2; echo 'no network' >&2; exit 1\n")
    go.chmod(0o755)
    lines = _output(tmp_path, str(tmp_path))
    assert "helm.sh/helm/v3/cmd/helm@v3.22.0 could not be built: no network" in lines
    assert [line.split(":")[0] for line in lines if "not here" in line] == PARTS
