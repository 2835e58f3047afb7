"""spark/Dockerfile by the rules that hadolint has, by their numbers (https://github.com/hadolint/hadolint#rules)."""

from __future__ import annotations

import json
import re
import shlex

import pytest
from compose_file import ROOT

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
    """DL3006, DL3007: a tag, and not the latest one."""
    arguments = dict(text.split("=", 1) for text in of("ARG"))
    stages = set()
    for text in of("FROM"):
        base, *alias = text.split(" AS ")
        base = re.sub(r"\$\{(\w+)\}", lambda found: arguments[found.group(1)], base)
        assert base in stages or re.fullmatch(r"[a-z./-]+:\d+\.\d+-[a-z-]+", base), base
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
        if command[0].endswith("pip") and "install" in command:
            # DL3013, DL3042: pinned with checksums, or what was copied in.
            assert "--require-hashes" in command or command[-2:] == ["--no-deps", "."]
    assert "PIP_NO_CACHE_DIR=1" in TEXT
    assert "apt-get upgrade" not in TEXT  # DL3005


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
