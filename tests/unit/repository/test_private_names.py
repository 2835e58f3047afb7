"""Tests reach for what is public alone; ruff's SLF holds that for attributes, this for imports and names in texts."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.shared.shared_folder import ROOT

FILES = sorted(path.relative_to(ROOT) for folder in ("tests", "bench") for path in (ROOT / folder).rglob("*.py"))
BY_NAME = {"delattr", "getattr", "hasattr", "setattr", "object", "multiple"}
"""Functions that reach for an attribute by its name: Python's own, and those of pytest's and unittest's patches."""


def is_private(dotted: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in dotted.split("."))


def private_names(tree: ast.AST) -> Iterator[str]:
    """What a module imports that is private, and what it reaches for by a private name in a text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if is_private(alias.name))
        elif isinstance(node, ast.ImportFrom):
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name for name in names if is_private(name))
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in BY_NAME:
                texts = (each.value for each in node.args if isinstance(each, ast.Constant))
                yield from (text for text in texts if isinstance(text, str) and is_private(text))


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("from logsluice.cli.report import _CONF", ["logsluice.cli.report._CONF"]),
        ("from logsluice._x import y", ["logsluice._x.y"]),
        ("import logsluice._x", ["logsluice._x"]),
        ("patch.setattr(module, '_LIMIT', 0)", ["_LIMIT"]),
        ("patch.setattr('logsluice.module._LIMIT', 0)", ["logsluice.module._LIMIT"]),
        ("getattr(module, '_limit')", ["_limit"]),
        ("from __future__ import annotations; getattr(module, '__doc__'); found['_source']", []),
    ],
)
def test_a_private_name_is_found(code: str, found: list[str]) -> None:
    assert list(private_names(ast.parse(code))) == found


def test_no_test_reaches_for_a_private_name() -> None:
    found = {str(path): list(private_names(ast.parse((ROOT / path).read_text("utf-8")))) for path in FILES}
    assert {path: names for path, names in found.items() if names} == {
        # The client has no public way to the labels of a metric that has counted nothing yet.
        "tests/local/views.py": ["_labelnames"],
    }
