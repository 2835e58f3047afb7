"""Starts, watches and stops the parts of the local stack."""

from __future__ import annotations

import fcntl
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from logsluice.errors import LogsluiceError
from logsluice.jvm.jars import jar_paths
from logsluice.runtime.private_files import write_private
from logsluice.stack import elasticsearch, kafka, schema_registry
from logsluice.stack.ports import HOST, check_free, free_port, is_open
from logsluice.stack.processes import Record, kill, memory, own_processes, read_record, spawn, terminate

Part = Literal["kafka", "elasticsearch", "schema-registry"]
State = Literal["ready", "not answering", "died", "stopped"]

PARTS: tuple[Part, ...] = ("kafka", "elasticsearch")
"""What every stack has."""

OPTIONAL_PARTS: tuple[Part, ...] = ("schema-registry",)
"""What a stack has where it is asked for."""

SCHEMA_REGISTRY_PORT = 8088
_EVERY_PART: tuple[Part, ...] = (*PARTS, *OPTIONAL_PARTS)
_PATIENCE = 45.0
_LONGEST_REASON = 300


@dataclass(frozen=True)
class PartStatus:
    """How a part is.

    Attributes:
        state: ``died`` is a part that ended without being asked to.
        port: Where it listens, or would.
        pid: Its process, while it runs.
        memory: Resident bytes of its processes, while it runs.
    """

    part: Part
    state: State
    port: int
    data: Path
    pid: int | None = None
    memory: int | None = None


class LocalStack:
    """Kafka, Elasticsearch and what may go with them on this machine, with all their files below one folder.

    The parts are processes that outlive this object; another one with the same ``home`` finds them.

    Args:
        schema_registry_port: Where a schema registry listens; :meth:`start` starts none where left out.
        secure: Whether the broker asks for TLS and SCRAM credentials.
        kafka_heap: Heap of the broker's Java, as ``-Xmx`` takes it.

    Raises:
        LogsluiceError: Two ports are the same.
    """

    def __init__(
        self,
        home: Path,
        kafka_port: int = 9092,
        elasticsearch_port: int = 9200,
        schema_registry_port: int | None = None,
        *,
        secure: bool = False,
        kafka_heap: str = "256m",
        elasticsearch_heap: str = "512m",
        report: Callable[[str], None] = lambda _line: None,
    ) -> None:
        if kafka_port == elasticsearch_port:
            raise LogsluiceError(f"port {kafka_port} can't be both Kafka's and Elasticsearch's")
        if schema_registry_port in (kafka_port, elasticsearch_port):
            raise LogsluiceError(f"port {schema_registry_port} can't be the schema registry's and another part's")
        self.home = home.absolute()
        self.secure = secure
        self.parts: tuple[Part, ...] = PARTS if schema_registry_port is None else (*PARTS, *OPTIONAL_PARTS)
        self._ports: dict[Part, int] = {
            "kafka": kafka_port,
            "elasticsearch": elasticsearch_port,
            "schema-registry": schema_registry_port or SCHEMA_REGISTRY_PORT,
        }
        self._heaps: dict[Part, str] = {
            "kafka": kafka_heap,
            "elasticsearch": elasticsearch_heap,
            "schema-registry": "256m",
        }
        self._report = report
        # Kept so that a part that ends is not left as a zombie of this process.
        self._children: list[subprocess.Popen[bytes]] = []

    def fetch(self) -> None:
        """Have every jar in the cache, with a progress bar on a terminal; :meth:`start` does it too.

        Raises:
            LogsluiceError: A jar can't be had.
        """
        for part in self.parts:
            jar_paths(part)

    def start(self, *only: Part, timeout: float = 180) -> None:
        """Start what does not run yet of some parts, or of all, and come back when they answer.

        Raises:
            LogsluiceError: A port is taken, Java or a jar can't be had, or a part ended or did not
                answer in time. What this call started is stopped again.
        """
        if not only and not all(self.pid(part) for part in self.parts):
            self.fetch()
        with self._alone():
            parts = [part for part in only or self.parts if not self._is_running(part)]
            for part in parts:
                self._clean(part)
                check_free(self._ports[part], part, f"--{part}-port")
            try:
                for part in parts:
                    self._spawn(part)
                for part in only or self.parts:
                    self._await(part, timeout)
            except BaseException:
                for part in parts:
                    self._stop(part)
                raise
            if not only:
                self._write_environment()

    def stop(self, *only: Part) -> None:
        """Stop some parts in order, or all of them, Kafka last; data and logs stay."""
        with self._alone():
            for part in only or reversed(_EVERY_PART):
                self._stop(part)

    def kill_part(self, part: Part) -> None:
        """End all processes of a part at once (SIGKILL), as a crash would; it then counts as died."""
        record = read_record(self._record(part))
        if process := record and record.process():
            kill(process)
            self._reap()

    def remove_data(self) -> None:
        """Delete what the stopped parts have stored, and what only has a meaning beside it.

        That is the broker's password, the jobs' checkpoints and how far files were shipped.

        Raises:
            LogsluiceError: A part still runs.
        """
        for part in _EVERY_PART:
            if self.pid(part):
                raise LogsluiceError("still runs", where=part, hint="stop it first: logsluice down")
        for folder in (*_EVERY_PART, "checkpoints", "ship"):
            shutil.rmtree(self.home / folder, ignore_errors=True)
        for name in ("kafka.password", "stack.env"):
            (self.home / "run" / name).unlink(missing_ok=True)

    def pid(self, part: Part) -> int | None:
        """The process id of a part, which is also its process group's; None where it does not run."""
        process = self._process(part)
        return process.pid if process else None

    def port(self, part: Part) -> int:
        """The port that a part is to listen on."""
        return self._ports[part]

    def status(self) -> list[PartStatus]:
        """How every part is; those that were never asked for are left out."""
        optional = [part for part in OPTIONAL_PARTS if part in self.parts or read_record(self._record(part))]
        return [self._status(part) for part in (*PARTS, *optional)]

    def environment(self) -> dict[str, str]:
        """The environment variables that point every command and job to this stack."""
        variables = {
            "LOGSLUICE_HOME": str(self.home),
            "LOGSLUICE_KAFKA__BOOTSTRAP_SERVERS": f"{HOST}:{self._ports['kafka']}",
            "LOGSLUICE_ELASTICSEARCH__HOSTS": f"http://{HOST}:{self._ports['elasticsearch']}",
        }
        if "schema-registry" in self.parts:
            url = f"http://{HOST}:{self._ports['schema-registry']}{schema_registry.API}"
            variables["LOGSLUICE_SCHEMA_REGISTRY__URL"] = url
        if self.secure:
            files = kafka.Files(self.home)
            variables |= {
                "LOGSLUICE_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
                "LOGSLUICE_KAFKA__SASL_MECHANISM": "SCRAM-SHA-512",
                "LOGSLUICE_KAFKA__USERNAME": kafka.USER,
                "LOGSLUICE_KAFKA__PASSWORD": files.password.read_text(),
                "LOGSLUICE_KAFKA__SSL_CAFILE": str(files.authority),
            }
        return variables

    @property
    def environment_file(self) -> Path:
        """A file for the shell's ``.`` command that sets :meth:`environment`; readable by its owner alone."""
        return self.home / "run" / "stack.env"

    def _write_environment(self) -> None:
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in self.environment().items()]
        write_private(self.environment_file, "".join(lines))

    def _record(self, part: Part) -> Path:
        return self.home / "run" / f"{part}.json"

    def _log(self, part: Part) -> Path:
        return self.home / "logs" / f"{part}.log"

    def _output(self, part: Part) -> Path:
        return self.home / "logs" / f"{part}.out"

    def _process(self, part: Part) -> psutil.Process | None:
        self._reap()
        record = read_record(self._record(part))
        return record.process() if record else None

    def _reap(self) -> None:
        self._children = [child for child in self._children if child.poll() is None]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no other command start or stop parts of the same home meanwhile."""
        try:
            (self.home / "run").mkdir(parents=True, exist_ok=True)
            with (self.home / "run" / "lock").open("w") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    self._report("waiting for another command that starts or stops this stack")
                    fcntl.flock(file, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise LogsluiceError(
                "can't be used",
                where=str(error.filename or self.home),
                why=error.strerror,
                hint="let LOGSLUICE_HOME name a folder that this user may write to, on a disk with room",
            ) from None

    def _is_running(self, part: Part) -> bool:
        record = read_record(self._record(part))
        if record is None or record.process() is None:
            return False
        secure = self.secure and part == "kafka"
        if (record.port, record.secure) != (self._ports[part], secure):
            mode = " secured" if record.secure else ""
            raise LogsluiceError(
                f"already runs{mode} on port {record.port}", where=part, hint="stop it first: logsluice down"
            )
        return True

    def _clean(self, part: Part) -> None:
        """End what an earlier command left without a record: it was killed before it could write one."""
        markers = {
            str(kafka.Files(self.home).properties),
            f"--home={self.home}",
            f"-Djava.io.tmpdir={self.home / 'schema-registry' / 'tmp'}",
        }
        self._record(part).unlink(missing_ok=True)
        own_pids = {self.pid(other) for other in _EVERY_PART}
        for process, line in own_processes():
            if process.pid not in own_pids and not markers.isdisjoint(line) and is_part(line, part):
                self._report(f"ending a {part} that an earlier run left (process {process.pid})")
                terminate(process, patience=_PATIENCE)

    def _spawn(self, part: Part) -> None:
        port, heap = self._ports[part], self._heaps[part]
        self._report(f"starting {part} on port {port}")
        if part == "kafka":
            controller = next(port for port in iter(free_port, None) if port not in self._ports.values())
            command = kafka.command(self.home, port, controller, heap, secure=self.secure)
        elif part == "schema-registry":
            command = schema_registry.command(self.home, port, heap)
        else:
            command = elasticsearch.command(self.home, port, heap)
        self._output(part).unlink(missing_ok=True)
        secure = self.secure and part == "kafka"
        self._children.append(
            spawn(command, record=self._record(part), output=self._output(part), port=port, secure=secure)
        )

    def _await(self, part: Part, timeout: float) -> None:
        end = time.monotonic() + timeout
        while not self._answers(part):
            if self._process(part) is None:
                raise LogsluiceError(
                    "ended while it started",
                    where=part,
                    why=failure_reason(self._output(part), self._log(part)),
                    hint=f"more in the files of {self.home / 'logs'}",
                )
            if time.monotonic() > end:
                raise LogsluiceError(
                    f"did not answer within {timeout:.0f} seconds", where=part, hint=f"see {self._log(part)}"
                )
            time.sleep(0.2)
        self._report(f"{part} answers")

    def _answers(self, part: Part) -> bool:
        port = self._ports[part]
        if not is_open(port):
            return False
        if part == "elasticsearch":
            return elasticsearch.answers(port)
        if part == "schema-registry":
            return schema_registry.answers(port)
        return kafka.answers(self.home, port, secure=self.secure)

    def _status(self, part: Part) -> PartStatus:
        data = self.home / part
        record = read_record(self._record(part))
        if record is None:
            return PartStatus(part, "stopped", self._ports[part], data)
        process = self._process(part)
        if process is None:
            return PartStatus(part, "died", record.port, data)
        running = self._of(part, record)
        state: State = "ready" if running._answers(part) else "not answering"
        return PartStatus(part, state, record.port, data, record.pid, memory(process))

    def _of(self, part: Part, record: Record) -> LocalStack:
        """The stack as a running part was started, whatever this object was told."""
        other = LocalStack(self.home, secure=record.secure)
        other._ports[part] = record.port
        return other

    def _stop(self, part: Part) -> None:
        if process := self._process(part):
            self._report(f"stopping {part} (process {process.pid})")
            terminate(process, patience=_PATIENCE)
            self._reap()
        self._clean(part)


def is_part(command_line: list[str], part: Part) -> bool:
    """Whether a command line is that of a part, of whichever home."""
    if part == "schema-registry":
        return any(word.endswith("/quarkus-run.jar") for word in command_line)
    name = "kafka.Kafka" if part == "kafka" else "logsluice.stack.elasticsearch_node"
    return name in command_line


def failure_reason(output: Path, log: Path) -> str | None:
    """Why a server ended: what its virtual machine printed but warnings, or else the last error in its log."""
    printed = [line for line in _lines(output) if line.strip() and "warning" not in line.lower()]
    if printed:
        return " ".join(printed)[:_LONGEST_REASON]
    faults = [line for line in _lines(log) if "ERROR" in line or "Exception" in line]
    return faults[-1][:_LONGEST_REASON] if faults else None


def _lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines() if path.exists() else []
