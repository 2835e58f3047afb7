"""Processes of a test, started with the environment of its stack and gone when it ends."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil
from elasticsearch import Elasticsearch

from logsluice.stack.ports import is_free

ROOT = Path(__file__).parents[2]
LOGSLUICE = Path(sys.executable).with_name("logsluice")

T = TypeVar("T")


def eventually(question: Callable[[], T], *, seconds: float = 60, every: float = 0.2) -> T:
    """Ask until the answer is true, and give it back; an AssertionError is a no, and raised at the end."""
    end = time.monotonic() + seconds
    while True:
        refused = None
        try:
            if answer := question():
                return answer
        except AssertionError as error:
            refused = error
        if time.monotonic() > end:
            raise refused or AssertionError(f"still not so after {seconds} s")
        time.sleep(every)


def free_port() -> int:
    """A port that nobody has. Tests in several processes take theirs from ranges apart: between being found free and
    being listened on, a port belongs to nobody.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 20_000 + 2_000 * (worker % 5)
    return next(port for port in random.sample(range(first, first + 2_000), 200) if is_free(port))


def end_tree(pid: int) -> None:
    """Kill a process and all that it started, as a crash of the machine would."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(family, timeout=10)


def forget_indices(url: str) -> None:
    """Delete logsluice's indices and templates, each by its name: the server refuses wildcards."""
    with Elasticsearch(url, request_timeout=60) as client:
        ours = ("dev-", "prod-")
        if indices := [name for name in client.indices.get(index="*", features="aliases") if name.startswith(ours)]:
            client.indices.delete(index=indices)
        for template in client.indices.get_index_template()["index_templates"]:
            if template["name"].startswith((*ours, "logsluice")):
                client.indices.delete_index_template(name=template["name"])
        for template in client.cluster.get_component_template()["component_templates"]:
            if template["name"].startswith((*ours, "logsluice")):
                client.cluster.delete_component_template(name=template["name"])


@dataclass
class Job:
    """A process that was started; standard output and error are in one file."""

    process: subprocess.Popen[bytes]
    output_file: Path

    @property
    def output(self) -> str:
        return self.output_file.read_text(errors="replace")

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait(self, seconds: float = 120) -> int:
        """The exit code."""
        return self.process.wait(seconds)

    def terminate(self, seconds: float = 60) -> int:
        """Ask it to end (SIGTERM), and give its exit code."""
        self.process.terminate()
        return self.process.wait(seconds)

    def kill(self) -> None:
        """Kill it and all that it started."""
        end_tree(self.pid)
        self.process.wait(10)


@dataclass
class Runner:
    """Starts processes with an environment, in the repository's folder."""

    folder: Path
    environment: Mapping[str, str]
    jobs: list[Job] = field(default_factory=list)

    def start(self, *command: str | Path, env: Mapping[str, str] | None = None) -> Job:
        """Start a command, with further environment variables."""
        output = self.folder / f"output-{len(self.jobs)}.txt"
        with output.open("wb") as file:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**self.environment, **(env or {})},
                cwd=ROOT,
                start_new_session=True,
            )
        self.jobs.append(Job(process, output))
        return self.jobs[-1]

    def job(self, name: str, *arguments: str | Path, env: Mapping[str, str] | None = None) -> Job:
        """Start ``jobs/<name>.py``."""
        return self.start(sys.executable, ROOT / "jobs" / f"{name}.py", *arguments, env=env)

    def run(
        self,
        *command: str | Path,
        stdin: bytes = b"",
        seconds: float = 300,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; standard output and error come back apart."""
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**self.environment, **(env or {})},
            cwd=ROOT,
            start_new_session=True,
        ) as process:
            try:
                out, error = process.communicate(stdin, timeout=seconds)
            except BaseException:
                end_tree(process.pid)
                raise
        return subprocess.CompletedProcess(
            list(command), process.returncode, out.decode(errors="replace"), error.decode(errors="replace")
        )

    def cli(
        self,
        *arguments: str | Path,
        stdin: bytes = b"",
        seconds: float = 300,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``logsluice`` with arguments."""
        return self.run(LOGSLUICE, *arguments, stdin=stdin, seconds=seconds, env=env)

    def close(self) -> None:
        """Kill what still runs."""
        for job in self.jobs:
            job.kill()
