"""What runs beside what, where `make test` runs tests in several processes (pytest-xdist, ``--dist loadgroup``)."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
# Files of tests/local that kill servers or keep them busy for long: they have servers of their own.
APART = frozenset({"test_bad_input.py", "test_end_to_end.py", "test_faults.py", "test_pipelines.py", "test_windows.py"})


def pytest_itemcollected(item: pytest.Item) -> None:
    """Keep together what shares something expensive: servers, a control plane, the graphs of the stacks."""
    room, *rest = item.path.relative_to(HERE).parts
    group = room
    if room == "unit":
        group = "/".join((room, *rest))
    elif room == "local" and item.path.name in APART:
        group = "local, apart"
    # pytest-xdist looks for the group before it asks anybody to change the items.
    item.add_marker(pytest.mark.xdist_group(group))
