"""Every test takes the shared folder from the one place that knows where it is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shared.shared_folder import ROOT, VARIABLE

LOCATOR = Path("tests/shared/shared_folder.py")
OWN_LOOKUP = re.compile(
    r"""\.\./shared|parents?(\[\d\])? / ["']shared["']|(environ(\.get\(|\[)|getenv\()["']LOGSLUICE_SHARED"""
)
PLAIN = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""No plugin of others, which takes longer to import than such a test runs."""
HERE = Path(__file__).relative_to(ROOT)


def test_no_other_file_looks_for_it() -> None:
    files = [path.relative_to(ROOT) for folder in ("tests", "bench") for path in (ROOT / folder).rglob("*.py")]
    assert LOCATOR in files
    found = {str(file) for file in files if OWN_LOOKUP.search((ROOT / file).read_text("utf-8"))}
    assert found == {str(LOCATOR), str(HERE)}


@pytest.mark.parametrize(("named", "expected"), [("elsewhere", Path.cwd() / "elsewhere"), ("", ROOT.parent / "shared")])
def test_it_is_where_the_variable_says_or_beside_the_checkout(named: str, expected: Path) -> None:
    code = "from tests.shared import shared_folder; print(shared_folder.LOGHUB)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, VARIABLE: named, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == str(expected / "data" / "loghub"), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["call", "mark", "module"])
@pytest.mark.parametrize("required", [False, True])
def test_a_skip_is_a_failure_where_everything_is_required(tmp_path: Path, kind: str, required: bool) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text("utf-8"))
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        + ("pytest.skip('no tool', allow_module_level=True)\n" if kind == "module" else "")
        + ("@pytest.mark.skipif(True, reason='no tool')\n" if kind == "mark" else "")
        + "def test_it(): pytest.skip('no tool')\n"
        + "@pytest.mark.xfail\ndef test_known(): assert False\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", tmp_path],
        env={**os.environ, "LOGSLUICE_REQUIRE_ALL": "1" if required else "0", "PYTHONPATH": str(ROOT), **PLAIN},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "no tool" in done.stdout
    expected = (2 if kind == "module" else 1) if required else (5 if kind == "module" else 0)
    assert done.returncode == expected, done.stdout
    assert ("xfailed" in done.stdout) or kind == "module"


@pytest.mark.slow
@pytest.mark.parametrize("marked", [False, True])
def test_a_tool_of_the_folder_is_for_tests_that_are_marked_so(tmp_path: Path, marked: bool) -> None:
    unpack = tmp_path / "tools" / "unpack"
    unpack.parent.mkdir()
    unpack.write_text(f"#!/bin/sh\necho {unpack.parent}\n")
    unpack.chmod(0o755)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = tools: needs tools\n")
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text("utf-8"))
    (tmp_path / "test_it.py").write_text(
        "import pytest\nfrom tests.shared.shared_folder import tool\n"
        + ("@pytest.mark.tools\n" if marked else "")
        + "def test_it(): assert tool('unpack')\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path],
        env={**os.environ, VARIABLE: str(tmp_path), "PYTHONPATH": str(ROOT), **PLAIN},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == (0 if marked else 1), done.stdout
    assert ("mark the test with pytest.mark.tools" in done.stdout) is not marked


@pytest.mark.slow
@pytest.mark.parametrize("there", [False, True])
def test_what_judges_by_the_facts_of_the_folder_is_left_out_where_it_has_none(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "data" / "facts").mkdir(parents=True)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = facts: judges by facts\n")
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text("utf-8"))
    (tmp_path / "test_it.py").write_text(
        "import pytest\n@pytest.mark.facts\ndef test_facts(): pass\ndef test_others(): pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path],
        env={**os.environ, VARIABLE: str(tmp_path), "LOGSLUICE_REQUIRE_ALL": "1", "PYTHONPATH": str(ROOT), **PLAIN},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    assert ("2 passed" if there else "1 passed, 1 deselected") in done.stdout
