"""Data and tools that lie beside the checkout on some machines: the one place that knows where.

``LOGSLUICE_SHARED`` names the folder; else it is ``../shared``. A tool on PATH comes before one of the folder's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VARIABLE = "LOGSLUICE_SHARED"
# A relative name is one of the folder in which pytest was started; a test may change to another.
SHARED = Path(os.environ.get(VARIABLE) or ROOT.parent / "shared").absolute()
LOGHUB, FACTS, CASES = (SHARED / "data" / name for name in ("loghub", "facts", "cases"))
DEFINITIONS = SHARED / "crds"
TOOLS = SHARED / "tools"


@cache
def _unpacked() -> Path | None:
    unpack = TOOLS / "unpack"
    if not unpack.is_file():
        return None
    return Path(subprocess.run([unpack], check=True, capture_output=True, text=True, timeout=300).stdout.strip())


class UnmarkedTestError(Exception):
    """A test of ``make test`` asked for a tool that only ``make test-k8s`` has: elsewhere it would be skipped."""


tools_are_for_this_test = True
"""Whether the test that runs is marked ``tools``; ``tests/conftest.py`` sets it."""


def found(name: str) -> str | None:
    """The path of a tool, if there is one.

    Raises:
        UnmarkedTestError: It is the folder's, and the test that runs is not marked ``tools``.
    """
    if on_path := shutil.which(name):
        return on_path
    folder = _unpacked()
    if folder is None or not (folder / name).is_file():
        return None
    if not tools_are_for_this_test:
        raise UnmarkedTestError(f"{name} is a tool of make test-k8s: mark the test with pytest.mark.tools")
    return str(folder / name)


def tool(name: str) -> str:
    """The path of a tool; skips the test where it is not to be had."""
    return found(name) or pytest.skip(f"{name} is neither on PATH nor in {TOOLS}")


def compose_command() -> tuple[str, ...] | None:
    """Compose v2, alone or as Docker's plugin, if there is one."""
    if alone := found("docker-compose"):
        return (alone,)
    if docker := shutil.which("docker"):
        plugin = (docker, "compose")
        if subprocess.run([*plugin, "version"], capture_output=True, timeout=60).returncode == 0:
            return plugin
    return None
