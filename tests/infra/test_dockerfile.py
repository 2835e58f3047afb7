"""spark/Dockerfile by the rules that hadolint has, by their numbers (https://github.com/hadolint/hadolint#rules)."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pyspark
import pytest

from logsluice.jvm.jars import jar_paths, locked
from logsluice.jvm.java import system_java
from tests.shared.shared_folder import ROOT

TEXT = (ROOT / "spark" / "Dockerfile").read_text()
INSTRUCTION = re.compile(r"(?m)^([A-Z]+)\s+((?:[^\\\n]|\\\n|\\.)*)$")
INSTRUCTIONS = [(name, re.sub(r"\\\n", " ", rest)) for name, rest in INSTRUCTION.findall(TEXT)]
KNOWN = {"ARG", "FROM", "RUN", "ENV", "WORKDIR", "COPY", "USER", "ENTRYPOINT", "CMD"}


def of(*names: str) -> list[str]:
    return [rest for name, rest in INSTRUCTIONS if name in names]


def commands() -> list[list[str]]:
    """Every simple command of every RUN."""
    found = []
    for text in of("RUN"):
        for part in re.split(r"&&|\|\||;|\|", text):
            found.append(shlex.split(part))
    return found


def test_every_line_is_an_instruction_that_these_rules_know() -> None:
    assert {name for name, _ in INSTRUCTIONS} == KNOWN  # no ADD (DL3020), no MAINTAINER (DL4000)


def test_bases_are_pinned() -> None:
    """DL3006, DL3007: a tag, not the latest one, and its digest: whoever moves the tag does not move the image."""
    arguments = dict(text.split("=", 1) for text in of("ARG"))
    stages = set()
    for text in of("FROM"):
        base, *alias = text.split(" AS ")
        base = re.sub(r"\$\{(\w+)\}", lambda found: arguments[found.group(1)], base)
        assert base in stages or re.fullmatch(r"[a-z./-]+:\d+\.\d+-[a-z-]+@sha256:[0-9a-f]{64}", base), base
        stages |= set(alias)
    for copied in of("COPY"):
        if found := re.match(r"--from=(\S+)", copied):
            assert found.group(1) in stages  # DL3022


def test_it_does_not_run_as_root() -> None:
    """DL3002; and by number, which is what Kubernetes can check."""
    assert of("USER") == ["10001:10001"]
    names = [name for name, _ in INSTRUCTIONS]
    assert names.index("USER") < names.index("ENTRYPOINT")
    last_stage = len(names) - 1 - names[::-1].index("FROM")
    assert names.index("USER") > last_stage


def test_packages_are_installed_as_they_should_be() -> None:
    """DL3008 is left out: Debian keeps one version of a package, and a pinned one is gone with the next fix."""
    for text in of("RUN"):
        if "apt-get install" in text:
            assert "apt-get update" in text
            assert text.index("apt-get update") < text.index("apt-get install")
            assert "rm -rf /var/lib/apt/lists/*" in text  # DL3009
    for command in commands():
        assert command[0] not in {"sudo", "cd", "apt", "ssh", "vim", "ln", "kill", "ps", "wget", "curl"}, command
        if command[:2] == ["apt-get", "install"]:
            assert {"--yes", "--no-install-recommends"} <= set(command)  # DL3014, DL3015
        if command[0].endswith("pip"):
            # DL3013, DL3042: pinned with checksums, or what was built here of what is pinned or was copied in.
            assert "--require-hashes" in command or "--no-index" in command or command[-1] == "."
    assert "PIP_NO_CACHE_DIR=1" in TEXT
    assert "apt-get upgrade" not in TEXT  # DL3005


def test_what_builds_packages_is_pinned_too() -> None:
    """Isolated, a build fetches its backend by name alone. In the image none is isolated; uv is told the versions."""
    backends = (ROOT / "requirements-build.lock").read_text()
    assert {"hatchling", "setuptools", "editables", "uv"} <= set(re.findall(r"(?m)^([\w-]+)==", backends))
    building = [command for command in commands() if command[0].endswith("pip") and "wheel" in command]
    assert len(building) == 2
    for command in building:
        assert "--no-build-isolation" in command
        assert "--no-deps" in command
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    installing = [line for line in makefile.splitlines() if re.search(r"uv pip (sync|install)", line)]
    assert installing
    for line in installing:
        assert "--build-constraints requirements-build.lock" in line
    assert "uv==$" not in makefile


@pytest.mark.parametrize("platform", ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"])
def test_every_pinned_wheel_is_there_for_the_platform(platform: str, tmp_path: Path) -> None:
    """Asked of the registry: the lock file has checksums, and does not say of which platforms."""
    words = ["pip", "sync", "--dry-run", "--require-hashes", "--only-binary", ":all:", "--no-binary", "pyspark"]
    target = ["--python-version", "3.12", "--python-platform", platform, "--target", str(tmp_path)]
    uv = Path(sys.executable).with_name("uv")
    done = subprocess.run(
        [uv, *words, *target, ROOT / "requirements.lock"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert " + pyarrow==" in done.stderr


def _image_jars() -> list[Path]:
    """The jars that Spark has in the image."""
    (fetching,) = [command for command in commands() if "fetch_jars.py" in command]
    sets = fetching[fetching.index("fetch_jars.py") + 1 :]
    assert set(sets) <= set(locked()), "every image has all of them: no word of the line hangs on an argument"
    spark = sorted((Path(pyspark.__file__).parent / "jars").glob("*.jar"))
    return spark + [path for name in sets if name.startswith("spark-") for path in jar_paths(name)]


def test_every_native_library_of_a_jar_is_there_for_both_platforms() -> None:
    found: dict[str, set[str]] = {}
    for path in _image_jars():
        family = re.split(r"-\d", path.name)[0]
        with zipfile.ZipFile(path) as jar:
            names = [f"{path.name}/{name}".lower() for name in jar.namelist() if name.endswith(".so")]
        for architecture, pattern in (("amd64", r"x86_64|amd64|linux-?64"), ("arm64", r"aarch_?64|arm64")):
            if any(re.search(pattern, name) for name in names):
                found.setdefault(family, set()).add(architecture)
    assert len(found) > 5
    assert {family: lacking for family, has in found.items() if (lacking := {"amd64", "arm64"} - has)} == {}


def test_the_image_has_sparks_s3_connector() -> None:
    """Loaded by Java from the image's jars, as Spark does for s3a://, with the clients and credentials that it uses."""
    jars = _image_jars()
    (hadoop,) = [found[1] for path in jars if (found := re.fullmatch(r"hadoop-client-api-(.+)\.jar", path.name))]
    assert f"hadoop-aws-{hadoop}.jar" in {path.name for path in jars}, "the connector is of another Hadoop than Spark's"
    for name in (
        "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "org.apache.hadoop.fs.s3a.S3A",
        "org.apache.hadoop.fs.s3a.DefaultS3ClientFactory",
        "org.apache.hadoop.fs.s3a.impl.streams.AnalyticsStreamFactory",
        "software.amazon.awssdk.auth.credentials.ContainerCredentialsProvider",
    ):
        command = [
            str(system_java().path),
            "-cp",
            ":".join(map(str, jars)),
            "org.apache.hadoop.util.FindClass",
            "load",
            name,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["ENTRYPOINT", "CMD"])
def test_what_is_started_is_given_as_a_list(name: str) -> None:
    """DL3025, DL4003, DL4004: once, and without a shell between it and its signals."""
    (text,) = of(name)
    assert all(isinstance(word, str) for word in json.loads(text))


def test_folders_are_absolute_and_secrets_are_not_in_layers() -> None:
    """DL3000; and no ARG or ENV holds a secret."""
    assert all(folder.startswith("/") for folder in of("WORKDIR"))
    for text in of("ARG", "ENV"):
        assert not re.search(r"(?i)password|secret|token", text)


def test_sources_come_after_what_changes_less_often() -> None:
    assert TEXT.index("--require-hashes") < TEXT.index("COPY src")


def test_only_what_is_copied_reaches_the_engine() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        word.removeprefix("./").split("/")[0]
        for text in of("COPY")
        if not text.startswith("--from")
        for word in text.split()[:-1]
    }
    assert copied == sent


def test_documents_and_workflow_build_it_in_one_way() -> None:
    """`make image`, with no word that one of them could leave out; for every platform where it is published."""
    workflows = ROOT / ".github" / "workflows"
    release = (workflows / "release.yml").read_text()
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *workflows.glob("*.yml")]
    places = [path.read_text() for path in pages]
    building = [
        line for text in places for line in text.splitlines() if re.search(r"make image|docker (buildx )?build ", line)
    ]
    assert len([line for line in building if "PUSH=1" in line]) == 2
    assert not [line for line in building if "make image" not in line]
    assert "PLATFORMS=linux/amd64,linux/arm64" in release
    assert "ARG" not in {name for name, _ in INSTRUCTIONS[1:]}, "a word that the build could be without"
