"""How tests speak to a control plane."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Cluster:
    """A control plane with the operators' definitions and three nodes, one for each of our pools."""

    kubeconfig: Path

    def kubectl(self, *arguments: str | Path, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["kubectl", "--kubeconfig", self.kubeconfig, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert not check or done.returncode == 0, f"kubectl {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}"
        return done

    def get(self, *arguments: str) -> Any:
        return yaml.safe_load(self.kubectl("get", "-o", "yaml", *arguments).stdout)
