"""Java libraries by pinned version and checksum, fetched once into the per-user cache.

They are fetched by Ivy, which comes inside PySpark: nothing else has to be installed. ``jars.lock.json`` pins
every file, so nothing is resolved here; ``python -m logsluice.jvm.lock`` writes it anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import starmap
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

from logsluice.errors import LogsluiceError
from logsluice.jvm.java import spark_home, system_java
from logsluice.runtime.cache_folder import cache_dir
from logsluice.runtime.terminal import progress_bar

LOCK_FILE = Path(__file__).with_name("jars.lock.json")
SETTINGS_VARIABLE = "LOGSLUICE_IVY_SETTINGS"
"""Environment variable that names an Ivy settings file, for who has to fetch from a mirror."""

# Without POMs and their checksums a third of the requests remains; the lock file has every file's SHA-256.
_SETTINGS = """\
<ivysettings>
  <settings defaultResolver="public"/>
  <property name="ivy.checksums" value="" override="true"/>
  <timeout-constraints>
    <timeout-constraint name="patient" connectionTimeout="30000" readTimeout="120000"/>
  </timeout-constraints>
  <caches defaultCacheDir={cache} artifactPattern={pattern}/>
  <resolvers>
    <ibiblio name="public" m2compatible="true" usepoms={poms} useMavenMetadata="false"
             timeoutConstraint="patient"/>
  </resolvers>
</ivysettings>
"""
_PATTERN = "files/[organisation]/[artifact]-[revision](-[classifier]).[ext]"
_FETCHED = re.compile(r"\[SUCCESSFUL \]")
_FAULT = re.compile(r"^(?:(?:CLIENT |SERVER )?ERROR: |WARN: (?=Host ))(.+)")


@dataclass(frozen=True, order=True)
class Jar:
    """One file, by its Maven coordinates and checksum."""

    group: str
    artifact: str
    version: str
    sha256: str
    classifier: str | None = None
    type: str = "jar"

    @classmethod
    def parse(cls, coordinates: str, sha256: str = "") -> Jar:
        """A file by its :attr:`coordinates`."""
        group, artifact, version, *special = coordinates.split(":")
        classifier, _, kind = "".join(special).partition("@")
        return cls(group, artifact, version, sha256, classifier or None, kind or "jar")

    @property
    def coordinates(self) -> str:
        """``group:artifact:version``, and ``:classifier@type`` where it is no plain jar."""
        special = f":{self.classifier or ''}@{self.type}" if self.classifier or self.type != "jar" else ""
        return f"{self.group}:{self.artifact}:{self.version}{special}"

    @property
    def path(self) -> Path:
        """Where it lies below a cache's folder."""
        classifier = f"-{self.classifier}" if self.classifier else ""
        return Path(self.group) / f"{self.artifact}-{self.version}{classifier}.{self.type}"


@cache
def locked() -> dict[str, tuple[Jar, ...]]:
    """Every set of jars in the lock file, by name."""
    sets: dict[str, Any] = json.loads(LOCK_FILE.read_bytes())
    return {name: tuple(starmap(Jar.parse, entry["jars"].items())) for name, entry in sets.items()}


def jar_paths(name: str, *, cache: Path | None = None) -> list[Path]:
    """The files of a set, fetched into the cache where they are not there yet.

    Every file's SHA-256 is checked on every call; a damaged one is fetched again. Safe to call from several
    processes at once: one fetches, the others wait for it.

    Args:
        name: ``kafka``, ``elasticsearch``, ``spark-kafka``, ``spark-s3``, ``jmx-exporter`` or ``schema-registry``.
        cache: The folder to keep them in; :func:`~logsluice.runtime.cache_folder.cache_dir` where left out.

    Raises:
        LogsluiceError: A jar could not be fetched, or is not what was pinned.
    """
    jars = locked()[name]
    root = (cache or cache_dir()) / "jars"
    if _missing(jars, root):
        with _locked(root):
            if missing := _missing(jars, root):
                _fetch(name, missing, root)
    return [root / jar.path for jar in jars]


def sha256(path: Path) -> str:
    """A file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _missing(jars: Iterable[Jar], root: Path) -> list[Jar]:
    return [jar for jar in jars if not (root / jar.path).is_file() or sha256(root / jar.path) != jar.sha256]


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Hold the cache's lock; the kernel gives it back when the process dies."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        with (root / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        hint = "let LOGSLUICE_CACHE name a folder that this user may write to, on a disk with room"
        where = str(error.filename or root)
        raise LogsluiceError("can't be used", where=where, why=error.strerror, hint=hint) from None


def _fetch(name: str, jars: list[Jar], root: Path) -> None:
    """Fetch what is missing, in as many rounds as bring something: a network may stutter."""
    staging = root / ".staging"
    shutil.rmtree(staging, ignore_errors=True)
    progress = progress_bar(
        TextColumn("fetching the jars of {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        transient=False,
    )
    if progress.disable:
        progress.console.print(f"fetching {len(jars)} jars of {name}")
    with progress:
        task = progress.add_task(name, total=len(jars))
        missing = jars
        while missing:
            output = run_ivy(missing, staging, on_fetched=lambda: progress.advance(task))
            mismatched = _move(missing, staging / "files", root)
            unfetched = [jar for jar in missing if not (root / jar.path).is_file()]
            if mismatched:
                raise LogsluiceError(
                    "is not the file that was pinned",
                    where=mismatched.coordinates,
                    why=f"SHA-256 {sha256(staging / 'files' / mismatched.path)}, expected {mismatched.sha256}",
                    hint="something between here and the registry changes files; ask who runs the network",
                )
            if len(unfetched) == len(missing):
                raise fetch_error(unfetched, len(jars), output)
            missing = unfetched
            progress.update(task, completed=len(jars) - len(missing))
    shutil.rmtree(staging, ignore_errors=True)


def _move(jars: Iterable[Jar], source: Path, root: Path) -> Jar | None:
    """Move every file that is what was pinned to its place; the first that is not is given back."""
    for jar in jars:
        fetched, target = source / jar.path, root / jar.path
        if not fetched.is_file():
            continue
        if sha256(fetched) != jar.sha256:
            return jar
        target.parent.mkdir(parents=True, exist_ok=True)
        fetched.replace(target)
    return None


def fetch_error(missing: list[Jar], total: int, output: list[str]) -> LogsluiceError:
    """The one line for a network that gives nothing more."""
    fault = next((found.group(1).strip() for line in output if (found := _FAULT.match(line))), "")
    culprit = next((jar for jar in missing if jar.path.name in fault), missing[0])
    others = f", nor {len(missing) - 1} more of {total} jars" if len(missing) > 1 else ""
    return LogsluiceError(
        f"could not be fetched{others}",
        where=culprit.coordinates,
        why=fault[:300] or "the registry gives no reason",
        hint="check the network and its proxy (JAVA_TOOL_OPTIONS=-Dhttps.proxyHost=... is heeded), "
        f"or let {SETTINGS_VARIABLE} name an Ivy settings file with your mirror; what was fetched is kept",
    )


def run_ivy(
    jars: Iterable[Jar],
    staging: Path,
    *,
    transitive: bool = False,
    without: Iterable[str] = (),
    on_fetched: Callable[[], None] = lambda: None,
) -> list[str]:
    """Let Ivy put jars below ``staging/files`` and give back what it said.

    Args:
        jars: What to fetch; checksums are not looked at here.
        staging: A folder of Ivy's own; nothing is written anywhere else.
        without: Groups, or ``group:artifact``, that are left out of what they depend on.
    """
    staging.mkdir(parents=True, exist_ok=True)
    settings = staging / "ivysettings.xml"
    settings.write_text(
        _SETTINGS.format(
            cache=quoteattr(str(staging)),
            pattern=quoteattr(_PATTERN),
            poms=quoteattr(str(transitive).lower()),
        )
    )
    ivy_file = staging / "ivy.xml"
    ivy_file.write_text(_ivy_file(jars, transitive, without))
    command: list[str | Path] = [
        system_java().path,
        "-XX:TieredStopAtLevel=1",
        "-cp",
        next((spark_home() / "jars").glob("ivy-*.jar")),
        "org.apache.ivy.Main",
        "-verbose",
        "-settings",
        os.environ.get(SETTINGS_VARIABLE) or settings,
        "-cache",
        staging,
        "-ivy",
        ivy_file,
    ]
    output: list[str] = []
    # -Divy.default.ivy.user.dir keeps Ivy out of ~/.ivy2.
    command.insert(1, f"-Divy.default.ivy.user.dir={staging}")
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                output.append(line)
                if _FETCHED.search(line):
                    on_fetched()
        except BaseException:
            process.kill()
            raise
    return output


def _ivy_file(jars: Iterable[Jar], transitive: bool, without: Iterable[str]) -> str:
    dependencies = []
    for jar in jars:
        name, kind = quoteattr(jar.artifact), quoteattr(jar.type)
        classifier = f" m:classifier={quoteattr(jar.classifier)}" if jar.classifier else ""
        artifact = "" if transitive else f"<artifact name={name} type={kind} ext={kind}{classifier}/>"
        dependencies.append(
            f"<dependency org={quoteattr(jar.group)} name={name} rev={quoteattr(jar.version)}"
            f' conf="default->default" transitive="{str(transitive).lower()}">{artifact}</dependency>'
        )
    for group, _, artifact in (entry.partition(":") for entry in without):
        dependencies.append(f"<exclude org={quoteattr(group)} module={quoteattr(artifact or '*')}/>")
    return (
        '<ivy-module version="2.0" xmlns:m="http://ant.apache.org/ivy/maven">'
        '<info organisation="logsluice" module="jars"/>'
        '<configurations><conf name="default"/></configurations>'
        f"<dependencies>{''.join(dependencies)}</dependencies></ivy-module>"
    )
