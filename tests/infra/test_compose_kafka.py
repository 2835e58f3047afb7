"""compose's broker by the scripts of Kafka's own image: the command line that Java is given, and what it logs where."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from compose_file import ENVIRONMENTS, ROOT, services

SCRIPTS = ROOT / "tests/compose/images/kafka"


def command_line(env: str, folder: Path) -> list[str]:
    """Java's arguments where compose starts the broker, by the stand-in's scripts, which do what Kafka's do."""
    binaries = folder / "kafka/bin"
    binaries.mkdir(parents=True)
    for name in ("kafka-server-start.sh", "kafka-run-class.sh"):
        shutil.copy(SCRIPTS / name, binaries)
    java = folder / "java"
    java.write_text(f'#!{sys.executable}\nimport sys\nprint("\\n".join(sys.argv[1:]))\n')
    java.chmod(0o755)
    start = (ROOT / "config/kafka/start.sh").read_text()
    exported = dict(re.findall(r'(?m)^export (\w+)="([^"]*)"', start))
    last = start.splitlines()[-1]
    assert last == 'exec /opt/kafka/bin/kafka-server-start.sh "$properties"'
    variables = services(env)["kafka"]["environment"]
    done = subprocess.run(
        [binaries / "kafka-server-start.sh", "/etc/kafka/broker.properties"],
        env={"PATH": f"{folder}:{os.environ['PATH']}", **variables, **exported},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_java_takes_the_options_that_the_broker_is_started_with(env: str, tmp_path: Path) -> None:
    if not (java := shutil.which("java")):
        pytest.skip("there is no java on PATH")
    arguments = command_line(env, tmp_path)
    assert "kafka.Kafka" in arguments
    options = [argument for argument in arguments if re.match(r"-(X|server)", argument)]
    # What the script logs collections to is a folder of the container.
    options = [re.sub(r"file=[^:]*", f"file={tmp_path}/gc.log", option) for option in options]
    done = subprocess.run([java, *options, "-version"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "-XX:+UseSerialGC" in options, "half a core and 256 MB: what the memory limit is reckoned with"


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_broker_logs_to_the_console_alone(env: str, tmp_path: Path) -> None:
    arguments = command_line(env, tmp_path)
    assert not [argument for argument in arguments if argument.startswith("-Xlog")]
    (configuration,) = [a.split("=", 1)[1] for a in arguments if a.startswith("-Dlog4j2.configurationFile=")]
    mounted = {volume["target"]: Path(volume["source"]) for volume in services(env)["kafka"]["volumes"]}
    kinds = re.findall(r"(?m)^appender\.\w+\.type=(\w+)$", mounted[configuration].read_text())
    assert kinds == ["Console"]
