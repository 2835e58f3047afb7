"""Where a user's processes keep what they would otherwise fetch or work out again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """The per-user cache: ``LOGSLUICE_CACHE``, ``XDG_CACHE_HOME/logsluice``, or ``~/.cache/logsluice``.

    Raises:
        RuntimeError: None of them is set, and the user has no home folder.
    """
    if own := os.environ.get("LOGSLUICE_CACHE"):
        return Path(own).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "logsluice"
