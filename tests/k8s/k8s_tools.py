"""Tools that a machine may have or not: on PATH, or packed beside the repository."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from k8s_manifests import ROOT

SHARED = ROOT.parent / "shared"


@cache
def _unpacked() -> Path | None:
    unpack = SHARED / "tools" / "unpack"
    if not unpack.is_file():
        return None
    return Path(subprocess.run([unpack], check=True, capture_output=True, text=True, timeout=300).stdout.strip())


def tool(name: str) -> str:
    """The path of a tool; skips the test where it is not to be had."""
    if found := shutil.which(name):
        return found
    if (folder := _unpacked()) and (folder / name).is_file():
        return str(folder / name)
    pytest.skip(f"{name} is neither on PATH nor among ../shared/tools")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML reads a bare ``=`` as YAML 1.0 did; Prometheus' definitions have one in a list of operators."""


_Loader.add_constructor("tag:yaml.org,2002:value", yaml.SafeLoader.construct_yaml_str)


@cache
def definitions(kinds: frozenset[str]) -> tuple[dict[str, Any], ...]:
    """The operators' definitions of custom resources of some kinds; skips the test where none is here."""
    texts = [file.read_text() for file in sorted((SHARED / "crds").glob("*/*.yaml"))]
    if not texts:
        pytest.skip("the operators' definitions are not in ../shared/crds")
    wanted = [text for text in texts if any(f"\n    kind: {kind}\n" in text for kind in kinds)]
    return tuple(yaml.load(text, _Loader) for text in wanted)
