"""The image's entrypoint: Spark's driver or executor, or any other command as it stands.

On Kubernetes Spark starts its pods with the first argument ``driver`` or ``executor`` and tells the rest in
``SPARK_*`` variables (https://spark.apache.org/docs/latest/running-on-kubernetes.html#docker-images); what to
make of them is the image's matter. ``master``, ``worker`` and ``history`` are the daemons of a standalone cluster
(https://spark.apache.org/docs/latest/spark-standalone.html), ``submit`` brings a job to it. The process that is
started takes this one's place, so that signals reach it.

A variable ``LOGSLUICE_<name>_FILE`` names a file whose content becomes ``LOGSLUICE_<name>``: a password need not
stand in what starts the container. :data:`PATHS` are left as they are: their settings are the file's name.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from logsluice.jvm.java import spark_home

_JAVA_OPTION = re.compile(r"SPARK_JAVA_OPT_(\d+)")
_BACKEND = "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend"
_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_DAEMONS = {
    "master": "org.apache.spark.deploy.master.Master",
    "worker": "org.apache.spark.deploy.worker.Worker",
    "history": "org.apache.spark.deploy.history.HistoryServer",
}
PATHS = frozenset({"LOGSLUICE_API__KEYS_FILE"})
"""Variables of settings that end in ``_FILE`` themselves."""

_IN_FILE = re.compile(r"(LOGSLUICE_\w+)_FILE")
_EXECUTOR_ARGUMENTS = {
    "--driver-url": "SPARK_DRIVER_URL",
    "--executor-id": "SPARK_EXECUTOR_ID",
    "--cores": "SPARK_EXECUTOR_CORES",
    "--app-id": "SPARK_APPLICATION_ID",
    "--hostname": "SPARK_EXECUTOR_POD_IP",
    "--resourceProfileId": "SPARK_RESOURCE_PROFILE_ID",
    "--podName": "SPARK_EXECUTOR_POD_NAME",
}


def command(arguments: Sequence[str], environment: Mapping[str, str], home: Path) -> list[str]:
    """The command that a container runs."""
    match arguments:
        case ["driver", *rest]:
            return _driver(rest, environment, home)
        case ["executor", *_]:
            return _executor(environment, home)
        case ["submit", *rest]:
            return [str(home / "bin" / "spark-submit"), *rest]
        case [daemon, *rest] if daemon in _DAEMONS:
            # The script reads spark-env.sh.
            return [str(home / "bin" / "spark-class"), _DAEMONS[daemon], *rest]
        case _:
            return list(arguments)


def _driver(rest: Sequence[str], environment: Mapping[str, str], home: Path) -> list[str]:
    address = environment["SPARK_DRIVER_BIND_ADDRESS"]
    return [
        str(home / "bin" / "spark-submit"),
        "--conf",
        f"spark.driver.bindAddress={address}",
        "--conf",
        f"spark.executorEnv.SPARK_DRIVER_POD_IP={address}",
        "--deploy-mode",
        "client",
        *rest,
    ]


def _executor(environment: Mapping[str, str], home: Path) -> list[str]:
    java = Path(environment["JAVA_HOME"]) / "bin" / "java" if environment.get("JAVA_HOME") else "java"
    numbered = sorted(
        (int(found.group(1)), value) for name, value in environment.items() if (found := _JAVA_OPTION.fullmatch(name))
    )
    memory = environment["SPARK_EXECUTOR_MEMORY"]
    class_path = [
        environment.get("SPARK_CONF_DIR"),
        environment.get("SPARK_EXTRA_CLASSPATH"),
        str(home / "jars" / "*"),
    ]
    return [
        str(java),
        *(value for _, value in numbered),
        f"-Xms{memory}",
        f"-Xmx{memory}",
        "-cp",
        ":".join(entry for entry in class_path if entry),
        _BACKEND,
        *(word for option, name in _EXECUTOR_ARGUMENTS.items() for word in (option, environment[name])),
    ]


def with_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables, with what files hold in place of the files' names.

    Raises:
        OSError: A file cannot be read.
    """
    values: dict[str, str] = {}
    for name, value in environment.items():
        if name not in PATHS and (found := _IN_FILE.fullmatch(name)):
            values[found.group(1)] = Path(value).read_text().strip()
        else:
            values.setdefault(name, value)
    return values


def _clear_orphans() -> None:
    """Before a driver starts: delete executors that no driver has any more. A driver starts without that, too."""
    if not _NAMESPACE.is_file():
        return
    # These take a second to import, which no other container has to wait for.
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    from logsluice.errors import LogsluiceError
    from logsluice.kubernetes.access import cluster_client
    from logsluice.kubernetes.orphans import delete_orphans
    from logsluice.runtime.terminal import Terminal

    terminal = Terminal(stderr=True, soft_wrap=True)

    try:
        with cluster_client() as api:
            names = delete_orphans(api, _NAMESPACE.read_text().strip())
    except (LogsluiceError, ApiException, HTTPError, OSError) as error:
        terminal.print(f"executors without a driver are left: {error}")
    else:
        for name in names:
            terminal.print(f"{name}: deleted, its driver is gone")


def main() -> None:
    """Become the command."""
    home = spark_home()
    try:
        environment = with_secrets(os.environ)
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
    if sys.argv[1:2] == ["driver"]:
        _clear_orphans()
    words = command(sys.argv[1:] or ["logsluice", "--help"], environment, home)
    try:
        os.execvpe(words[0], words, {**environment, "SPARK_HOME": str(home)})
    except OSError as error:
        sys.exit(f"{words[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
