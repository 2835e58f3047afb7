"""Fetch the charts of ``helm/releases.yaml`` with helm, each at its pinned version.

``python -m tests.k8s.pull_charts FOLDER``
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from tests.shared.shared_folder import ROOT, found


def pull(helm: str, releases: Iterable[Mapping[str, str]], folder: Path) -> None:
    """Put each release's chart into a folder, as ``<chart>-<version>.tgz``.

    Raises:
        subprocess.CalledProcessError: A repository did not give it; helm has said why.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for release in releases:
        chart, repository, version = release["chart"], release["repository"], release["version"]
        if (folder / f"{chart}-{version}.tgz").is_file():
            continue
        of_oci = repository.startswith("oci://")
        source = [f"{repository}/{chart}"] if of_oci else [chart, "--repo", repository]
        subprocess.run([helm, "pull", *source, "--version", version, "--destination", folder], check=True, timeout=300)


def main(folder: Path) -> None:
    """Fetch all of them, or end with one line."""
    if not (helm := found("helm")):
        sys.exit("helm is not here: go install helm.sh/helm/v3/cmd/helm@v3.22.0")
    try:
        pull(helm, yaml.safe_load((ROOT / "helm" / "releases.yaml").read_text("utf-8"))["releases"], folder)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        sys.exit(f"not every chart could be fetched: {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
