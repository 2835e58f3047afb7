"""A machine without the shared folder has charts from their repositories, and the operators' definitions from these."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.k8s.helm_values import RELEASES
from tests.k8s.k8s_manifests import ROOT
from tests.k8s.pull_charts import pull
from tests.shared.shared_folder import tool

DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.example.org"},
    "spec": {
        "group": "example.org",
        "names": {"kind": "Thing", "plural": "things"},
        "scope": "Namespaced",
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[str]:
    """The address of a repository that has a chart of ours for each release, under its name and version."""
    folder = tmp_path / "repository"
    for release in RELEASES:
        chart = tmp_path / "sources" / release["chart"]
        (chart / "crds").mkdir(parents=True)
        about = {"apiVersion": "v2", "name": release["chart"], "version": release["version"]}
        (chart / "Chart.yaml").write_text(yaml.safe_dump(about))
        thing = yaml.safe_dump(DEFINITION).replace("thing", f"{release['chart']}-thing")
        (chart / "crds" / "thing.yaml").write_text(thing)
        subprocess.run([tool("helm"), "package", chart, "--destination", folder], check=True, capture_output=True)
    subprocess.run([tool("helm"), "repo", "index", folder], check=True, capture_output=True)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_charts_are_pulled_and_the_definitions_are_found_in_them(repository: str, tmp_path: Path) -> None:
    charts = tmp_path / "charts"
    pull(tool("helm"), [{**release, "repository": repository} for release in RELEASES], charts)
    assert {path.name for path in charts.iterdir()} == {f"{r['chart']}-{r['version']}.tgz" for r in RELEASES}
    code = (
        "from tests.k8s.operator_definitions import all_definitions as a; print(a().count('kind: CustomResourceDef'))"
    )
    variables = {"PYTHONPATH": str(ROOT), "LOGSLUICE_CHARTS": str(charts), "LOGSLUICE_SHARED": str(tmp_path)}
    environment = {**os.environ, **variables}
    environment["PATH"] = f"{Path(tool('helm')).parent}:{environment['PATH']}"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert done.stdout == f"{len(RELEASES)}\n", done.stderr
