"""What the regular expressions of a registry compile to, kept in the per-user cache.

Parsing and translating them takes more than a second of every process, and gives the same again as long as this
package, Python and Polars are the same. Without a cache that can be read and written, they are compiled.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

import polars as pl
from pydantic import TypeAdapter, ValidationError

from logsluice.regex.compile import Regex, remember
from logsluice.runtime.cache_folder import cache_dir
from logsluice.runtime.private_files import write_private

T = TypeVar("T")
_REGEXES: Final = TypeAdapter(list[Regex])


def load_with_cache(name: str, load: Callable[[], T], regexes: Callable[[T], Iterable[Regex]]) -> T:
    """Load a registry without compiling what an earlier process has compiled.

    Args:
        name: The registry's own.
        load: Reads it, and compiles by :func:`logsluice.regex.compile.compile_regex`.
        regexes: Those in it.
    """
    known = _read(name)
    remember(known.values())
    loaded = load()
    found = {regex.source: regex for regex in regexes(loaded)}
    if found.keys() != known.keys():
        with contextlib.suppress(OSError, RuntimeError):
            write_private(_path(name), _REGEXES.dump_json([*found.values()]).decode())
    return loaded


def _read(name: str) -> dict[str, Regex]:
    try:
        return {regex.source: regex for regex in _REGEXES.validate_json(_path(name).read_bytes())}
    except (OSError, RuntimeError, ValidationError):
        return {}


def _path(name: str) -> Path:
    return cache_dir() / "regex" / f"{name}-{_version()}.json"


@cache
def _version() -> str:
    """Of all that decides what an expression compiles to."""
    digest = hashlib.sha256(f"{sys.version} {pl.__version__}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
