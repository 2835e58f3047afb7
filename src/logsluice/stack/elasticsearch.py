"""Configuration and command line of the local Elasticsearch.

The jars on Maven Central are the core of the server and its HTTP module, without the launcher and the
installer of the full distribution; :mod:`logsluice.stack.elasticsearch_node` does their part.
"""

from __future__ import annotations

import re
import shutil
import sys
import zipfile
from pathlib import Path

from logsluice.jvm.jars import jar_paths
from logsluice.stack.ports import answers_ok
from logsluice.stack.properties import log_to

_MODULE = "transport-netty4"


def node_settings(home: Path, port: int) -> dict[str, str]:
    """The node's settings, as they would stand in elasticsearch.yml."""
    return {
        "cluster.name": "logsluice-local",
        "node.name": "local",
        "path.home": str(home / "elasticsearch"),
        "path.data": str(home / "elasticsearch" / "data"),
        "path.logs": str(home / "logs"),
        "discovery.type": "single-node",
        "network.host": "127.0.0.1",
        "http.port": str(port),
        # Nobody else joins; any free port will do for the transport protocol.
        "transport.port": "0",
        # A write to an alias that is not there yet must not make a concrete index in its place.
        "action.auto_create_index": "-*-index,+*",
        # Memory-mapped segments would count as the process's memory and grow with the data.
        "node.store.allow_mmap": "false",
        # Serial collection clears garbage when the heap is full; a breaker that counts it refuses every request
        # before, for minutes.
        "indices.breaker.total.use_real_memory": "false",
        # The defaults are shares of the disk, which a nearly full laptop is always past.
        "cluster.routing.allocation.disk.watermark.low": "2gb",
        "cluster.routing.allocation.disk.watermark.high": "1gb",
        "cluster.routing.allocation.disk.watermark.flood_stage": "512mb",
    }


def java_options(home: Path, heap: str) -> list[str]:
    """Options of its Java virtual machine; ``heap`` as ``-Xmx`` takes it, such as 512m."""
    return [
        f"-Xms{heap}",
        f"-Xmx{heap}",
        "-XX:+UseSerialGC",
        # Why it does not start is then in the file with its errors; Py4J would take it for the number of its port.
        "-XX:+DisplayVMOutputToStderr",
        "-XX:+ExitOnOutOfMemoryError",
        f"-XX:ErrorFile={home / 'logs' / 'elasticsearch-crash-%p.log'}",
        f"-Djava.io.tmpdir={home / 'elasticsearch' / 'tmp'}",
        "--enable-native-access=ALL-UNNAMED",
        "-Djava.awt.headless=true",
        "-Dlog4j2.disable.jmx=true",
        "-Dio.netty.noUnsafe=true",
        "-Dio.netty.noKeySetOptimization=true",
        "-Dio.netty.recycler.maxCapacityPerThread=0",
        "-Dio.netty.allocator.numDirectArenas=0",
    ]


def command(home: Path, port: int, heap: str) -> list[str]:
    """Lay the node out below ``home/elasticsearch`` and give the command that runs it.

    Raises:
        LogsluiceError: A jar could not be had.
    """
    lay_out(home, jar_paths("elasticsearch"))
    return [
        sys.executable,
        "-m",
        "logsluice.stack.elasticsearch_node",
        f"--home={home}",
        f"--port={port}",
        f"--heap={heap}",
    ]


def lay_out(home: Path, jars: list[Path]) -> None:
    """Make the folders and files that a node looks for: logging, and its HTTP module."""
    root = home / "elasticsearch"
    for name in ("config", "data", "plugins", "tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (home / "logs").mkdir(exist_ok=True)
    (root / "config" / "log4j2.properties").write_text(log_to(home / "logs", "elasticsearch"))
    module = root / "modules" / _MODULE
    shutil.rmtree(module, ignore_errors=True)
    module.mkdir(parents=True)
    for jar in jars:
        if in_module(jar):
            (module / jar.name).symlink_to(jar)
        if jar.name.startswith(_MODULE):
            with zipfile.ZipFile(jar) as archive:
                for name in archive.namelist():
                    if name.startswith(f"META-INF/es-plugins/{_MODULE}/") and not name.endswith("/"):
                        text = archive.read(name).decode()
                        # Loaded from the class path it is no Java module.
                        (module / Path(name).name).write_text(re.sub(r"(?m)^modulename=.*$", "", text))


def in_module(jar: Path) -> bool:
    """Whether a jar belongs to the HTTP module instead of the class path."""
    return jar.name.startswith((_MODULE, "netty-"))


def answers(port: int) -> bool:
    """Whether a node on this machine says that all its primary shards are there."""
    return answers_ok(port, "/_cluster/health?wait_for_status=yellow&timeout=1000ms")
