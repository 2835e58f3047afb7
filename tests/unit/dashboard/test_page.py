"""The page without a browser and without a server."""

from __future__ import annotations

from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from logsluice.stack.ports import free_port

ROOT = Path(__file__).parents[3]
APP = ROOT / "src" / "logsluice" / "dashboard" / "app.py"
FILES = {
    "errors_by_type": "error_type,count\nTimeout,3\nRefused,2\n",
    "errors_by_hour": "hour,count\n2026-11-22T10:00:00Z,5\n",
    "top_errors": "message,count\nno answer from <*>,5\n",
    "errors_per_ip": "ip,count\n10.0.0.1,5\n",
    "errors_per_service": "service,count\ncart,5\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, of a user without a server."""
    monkeypatch.setenv("LOGSLUICE_CONFIG", str(ROOT / "config" / "dev"))
    monkeypatch.setenv("LOGSLUICE_ELASTICSEARCH__HOSTS", f"http://127.0.0.1:{free_port()}")
    monkeypatch.chdir(tmp_path)
    st.cache_resource.clear()
    return tmp_path


def write_report(folder: Path) -> None:
    (folder / "csv").mkdir(parents=True)
    for name, text in FILES.items():
        (folder / "csv" / f"{name}.csv").write_text(text)


def run_page() -> AppTest:
    page = AppTest.from_file(str(APP), default_timeout=240).run()
    assert not page.exception
    return page


def page_text(page: AppTest) -> str:
    return "\n".join(element.proto.body for element in page.get("html"))


def test_a_report_is_shown_without_a_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_report(folder / "made")
    monkeypatch.setenv("LOGSLUICE_DASHBOARD__REPORTS", str(folder / "made"))
    page = run_page()
    assert {metric.label: metric.value for metric in page.metric} == {
        "Errors": "5", "Error types": "2", "IP addresses": "1", "Services": "1"
    }  # fmt: skip
    assert "nothing to filter" in page_text(page)
    assert "does not answer" not in page_text(page)


def test_the_report_at_hand_stands_in_for_a_server_that_is_away(folder: Path) -> None:
    assert "Elasticsearch does not answer" in page_text(run_page())
    assert "logsluice up" in page_text(run_page())
    write_report(folder / "reports")
    page = run_page()
    assert "Elasticsearch does not answer" in page_text(page)
    assert [metric.value for metric in page.metric] == ["5", "2", "1", "1"]
    (note,) = page.info
    assert "filters do not apply" in note.value
