"""The folder of the cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from logsluice.runtime.cache_folder import cache_dir


def test_the_cache_is_where_the_user_wants_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LOGSLUICE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "logsluice"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "logsluice"
    monkeypatch.setenv("LOGSLUICE_CACHE", str(tmp_path / "own"))
    assert cache_dir() == tmp_path / "own"
