"""What holds for every test."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

from tests.shared import shared_folder

# A machine that is busy with something else is no fault of the code. `make test-unit` asks for `brief`, a tenth of the
# examples; a test that needs more or fewer than the rest says so as a multiple of its profile's.
settings.register_profile("full", deadline=None, max_examples=100)
settings.register_profile("brief", deadline=None, max_examples=10)
settings.load_profile("full")

REQUIRE_ALL = os.environ.get("LOGSLUICE_REQUIRE_ALL") == "1"
"""A test that is skipped, because a tool or data is not here, has failed: for machines that have them all."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked ``facts`` where there are none: such a test has nothing of its own to judge by."""
    left_out = [] if shared_folder.FACTS.is_dir() else [item for item in items if item.get_closest_marker("facts")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    shared_folder.tools_are_for_this_test = item.get_closest_marker("tools") is not None


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason}; LOGSLUICE_REQUIRE_ALL=1 allows no skip"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_if_skipped(report)
    return report
