from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from logsluice.jvm.jars import Jar, run_ivy
from logsluice.runtime.cache_folder import cache_dir

JRUBY = Jar(
    "org.jruby",
    "jruby-complete",
    "9.4.13.0",  # the one that Logstash 9 ships
    "e3612050b94877ba7be01e29ab88782c0a4e07c71391f2316f3b5213e6fd89f3",
)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="session")
def jruby() -> Path:
    """JRuby in one jar, fetched once; skips where it cannot be had."""
    kept = cache_dir() / "jars" / JRUBY.path
    if kept.is_file() and _digest(kept) == JRUBY.sha256:
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=kept.parent) as folder:
        output = run_ivy([JRUBY], Path(folder))
        fetched = Path(folder) / "files" / JRUBY.path
        if not fetched.is_file():
            pytest.skip(f"{JRUBY.coordinates} cannot be fetched: {''.join(output[-1:]).strip()}")
        assert _digest(fetched) == JRUBY.sha256
        shutil.move(fetched, kept.with_suffix(f".{os.getpid()}"))
    kept.with_suffix(f".{os.getpid()}").replace(kept)
    return kept
