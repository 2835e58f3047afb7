"""Configuration and command line of the local schema registry (Apicurio, with Confluent's API).

Source: https://www.apicur.io/registry/docs/apicurio-registry/3.3.x/
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from logsluice.jvm.jars import jar_paths, locked
from logsluice.jvm.java import bundled_java
from logsluice.runtime.cache_folder import cache_dir
from logsluice.stack.ports import HOST, answers_ok

API: Final = "/apis/ccompat/v7"
"""Where Confluent's API begins."""

_START: Final = "quarkus-run.jar"


def command(home: Path, port: int, heap: str, *, host: str = HOST, log_to_file: bool = True) -> list[str]:
    """Lay the registry out below ``home/schema-registry`` and give the command that runs it.

    Args:
        heap: Of its Java, as ``-Xmx`` takes it.
        log_to_file: Whether its log goes below ``home/logs``; to standard output otherwise.

    Raises:
        LogsluiceError: Its archive cannot be had.
    """
    data = home / "schema-registry"
    temporary = data / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    options = {
        "quarkus.http.host": host,
        "quarkus.http.port": str(port),
        # Health and metrics have a port of their own, which would be 9000 on every address; any free one will do.
        "quarkus.management.host": HOST,
        "quarkus.management.port": "0",
        # The schemas outlive the process, and what was acknowledged outlives a kill in the half second after it.
        "apicurio.datasource.url": f"jdbc:h2:file:{data / 'data' / 'registry'};WRITE_DELAY=0",
        "quarkus.banner.enabled": "false",
        "quarkus.log.console.enabled": str(not log_to_file).lower(),
        "quarkus.log.file.enabled": str(log_to_file).lower(),
        "quarkus.log.file.path": str(home / "logs" / "schema-registry.log"),
        "java.io.tmpdir": str(temporary),
    }
    (home / "logs").mkdir(parents=True, exist_ok=True)
    return [
        # It is compiled for Java 21, which the system need not have.
        str(bundled_java().path),
        f"-Xmx{heap}",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",
        f"-XX:ErrorFile={home / 'logs' / 'schema-registry-crash-%p.log'}",
        *(f"-D{name}={value}" for name, value in options.items()),
        "-jar",
        str(unpacked() / _START),
    ]


def answers(port: int) -> bool:
    """Whether the registry lists its subjects."""
    return answers_ok(port, f"{API}/subjects")


def unpacked() -> Path:
    """The archive's files, in the per-user cache; an image has these alone, without the archive."""
    (pinned,) = locked()["schema-registry"]
    target = cache_dir() / "unpacked" / pinned.path.name.removesuffix(".tar.gz")
    if not target.is_dir():
        (archive,) = jar_paths("schema-registry")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            staging = Path(folder) / "files"
            with tarfile.open(archive) as file:
                file.extractall(staging, filter="data")
            try:
                staging.rename(target)
            except OSError:
                # Another process was faster; its files are the same.
                if not target.is_dir():
                    raise
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    return target
