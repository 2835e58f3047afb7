"""What a package gives stays what it is, whichever of its modules are imported."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import logsluice

SOURCE = Path(logsluice.__file__).parent
PACKAGES = sorted(SOURCE.rglob("__init__.py"))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.parent.name)
def test_no_module_takes_the_place_of_a_name_of_its_package(package: Path) -> None:
    """Importing a module binds its name in its package: it would replace what came by that name from elsewhere."""
    folder = package.parent
    modules = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    own = ".".join(["logsluice", *folder.relative_to(SOURCE).parts])
    imports = [node for node in ast.parse(package.read_text()).body if isinstance(node, ast.ImportFrom)]
    taken = {
        alias.asname or alias.name
        for node in imports
        for alias in node.names
        if node.module != f"{own}.{alias.asname or alias.name}"
    }
    assert not taken & modules
