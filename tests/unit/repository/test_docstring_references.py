"""What docstrings refer to is there."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
REFERENCE = re.compile(r":(?:mod|func|class|data|meth|attr):`~?(logsluice[\w.]*)`")
FOLDERS = ("src", "tests", "jobs", "bench", "infra")
REFERENCES = sorted(
    {
        name
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        for name in REFERENCE.findall(path.read_text("utf-8"))
    }
)


def is_there(name: str) -> bool:
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: object = import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            if not hasattr(found, part):
                # An annotated field of a class has no value of its own.
                return part in getattr(found, "__annotations__", {})
            found = getattr(found, part)
        return True
    return False


@pytest.mark.parametrize("name", REFERENCES)
def test_a_name_that_a_docstring_refers_to_is_there(name: str) -> None:
    assert is_there(name)
