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

    def as_account(self, namespace: str, name: str, folder: Path) -> Cluster:
        """The cluster as a service account sees it."""
        token = self.kubectl("create", "token", name, "-n", namespace, "--duration=2h").stdout.strip()
        config = yaml.safe_load(self.kubeconfig.read_text())
        config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
        path = folder / f"{name}.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return Cluster(path)

    def get(self, *arguments: str) -> Any:
        return yaml.safe_load(self.kubectl("get", "-o", "yaml", *arguments).stdout)
