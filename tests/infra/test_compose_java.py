"""Java's command lines in compose, by the scripts and options of the images: it takes them, and logs to no file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.compose_file import ENVIRONMENTS, services
from tests.shared.shared_folder import ROOT

pytestmark = pytest.mark.tools

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
        [binaries / "kafka-server-start.sh", "/tmp/broker.properties"],
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


# By whom Java is started, with which of its own options before ours: config/jvm.options of Elasticsearch 9
# (distribution/src/config/jvm.options, read at 0098632) and of Logstash 9 (config/jvm.options), and the Dockerfile of
# kafbat's Kafka UI 1.5, which gives none that matter here.
OPTIONS = {
    ("elasticsearch", "ES_JAVA_OPTS"): [
        "-XX:+UseG1GC",
        "-Xlog:gc*,gc+age=trace,safepoint:file={folder}/gc.log:utctime,pid,tags:filecount=32,filesize=64m",
    ],
    ("logstash", "LS_JAVA_OPTS"): ["-Xms1g", "-Xmx1g"],
    ("kafka-ui", "JAVA_OPTS"): [],
}


@pytest.mark.parametrize(("part", "variable"), OPTIONS)
@pytest.mark.parametrize("small", [False, True])
def test_java_takes_our_options_after_the_images_and_logs_to_no_file(
    part: str, variable: str, small: bool, tmp_path: Path
) -> None:
    if not (java := shutil.which("java")):
        pytest.skip("there is no java on PATH")
    theirs = [option.format(folder=tmp_path) for option in OPTIONS[part, variable]]
    ours = services("dev", small=small)[part]["environment"][variable].split()
    done = subprocess.run([java, *theirs, *ours, "-version"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not [path for path in tmp_path.iterdir() if path.stat().st_size]
