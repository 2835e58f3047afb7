"""The process of the local Elasticsearch: a Java virtual machine and, through Py4J, the node in it.

When this process ends, however it ends, the virtual machine reads the end of its standard input and goes too.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import typer
from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway
from py4j.protocol import Py4JError

from logsluice.jvm.jars import jar_paths
from logsluice.jvm.java import bundled_java
from logsluice.runtime.terminal import Terminal
from logsluice.stack.elasticsearch import in_module, java_options, node_settings


def start_node(jvm: Any, home: Path, port: int) -> Any:
    """Start a node: what Elasticsearch's own launcher does, without its installer's files."""
    logging = jvm.org.elasticsearch.common.logging.LogConfigurator
    plugins = jvm.org.elasticsearch.plugins.PluginsLoader
    logging.configureESLogging()
    builder = jvm.org.elasticsearch.common.settings.Settings.builder()
    for key, value in node_settings(home, port).items():
        builder.put(key, value)
    config = jvm.java.io.File(str(home / "elasticsearch" / "config")).toPath()
    environment = jvm.org.elasticsearch.env.Environment(builder.build(), config)
    logging.configure(environment, True)
    loader = plugins.createPluginsLoader(
        plugins.loadModulesBundles(environment.modulesDir(), False),
        plugins.loadPluginsBundles(environment.pluginsDir(), False),
        jvm.java.util.HashMap(),
        False,
    )
    return jvm.org.elasticsearch.node.Node(environment, loader).start()


def run(home: Path, port: int, heap: str) -> int:
    """Run a node until SIGTERM or SIGINT, or until its virtual machine ends; gives back the exit code."""
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    try:
        java_port, token, process = launch_gateway(
            classpath=os.pathsep.join(str(jar) for jar in jar_paths("elasticsearch") if not in_module(jar)),
            javaopts=java_options(home, heap),
            java_path=str(bundled_java().path),
            die_on_exit=True,
            redirect_stdout=sys.stdout,
            redirect_stderr=sys.stderr,
            enable_auth=True,
            cwd=str(home / "elasticsearch"),
            return_proc=True,
        )
    except ValueError:
        # The virtual machine ended before it could tell its port; it has said why on standard error.
        return 1
    gateway = JavaGateway(gateway_parameters=GatewayParameters(port=java_port, auth_token=token, auto_convert=True))
    return _serve(gateway, process, home, port, stop)


def _serve(gateway: JavaGateway, process: subprocess.Popen[bytes], home: Path, port: int, stop: threading.Event) -> int:
    try:
        node = start_node(gateway.jvm, home, port)
    except Py4JError as error:
        Terminal(stderr=True, soft_wrap=True).print(str(error))
        process.kill()
        return 1
    while not stop.wait(0.5):
        if process.poll() is not None:
            return process.returncode or 1
    node.close()
    gateway.shutdown()
    if process.stdin:
        process.stdin.close()
    process.wait()
    return 0


def main(
    home: Annotated[Path, typer.Option()], port: Annotated[int, typer.Option()], heap: Annotated[str, typer.Option()]
) -> None:
    """Run a node, and exit as it does."""
    sys.exit(run(home, port, heap))


if __name__ == "__main__":
    typer.run(main)
