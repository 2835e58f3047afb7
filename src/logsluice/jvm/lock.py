"""For maintainers: ``python -m logsluice.jvm.lock`` resolves every set of jars and writes the lock file.

To move to another version, change the roots in ``jars.lock.json`` first.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from logsluice.errors import LogsluiceError
from logsluice.jvm.jars import Jar, run_ivy, sha256

LOCK_FILE = Path(__file__).with_name("jars.lock.json")


def resolve(roots: list[str], *, transitive: bool, without: Sequence[str] = ()) -> list[dict[str, str]]:
    """The files that the roots need, as entries of the lock file.

    Args:
        roots: ``group:artifact:version``, or ``group:artifact:version:classifier@type`` for what is no plain jar.
        transitive: Whether what they depend on is needed too.
        without: Groups, or ``group:artifact``, of what they depend on that are not needed: Spark has them.

    Raises:
        LogsluiceError: Ivy could not have one of them.
    """
    wanted = []
    for root in roots:
        group, artifact, version, *rest = root.split(":")
        classifier, _, kind = (rest[0] if rest else "").partition("@")
        wanted.append(Jar(group, artifact, version, "", classifier or None, kind or "jar"))
    with tempfile.TemporaryDirectory() as folder:
        said = run_ivy(wanted, Path(folder), transitive=transitive, without=without)
        if faults := [line.strip() for line in said if "[FAILED" in line or "UNRESOLVED" in line]:
            raise LogsluiceError("not every jar can be had", why="; ".join(faults))
        special = [jar for jar in wanted if jar.type != "jar"]
        entries = [_entry(jar, sha256(Path(folder) / "files" / jar.path)) for jar in special]
        for path in sorted((Path(folder) / "files").rglob("*.jar")):
            group = path.parent.name
            artifact, version = _split(Path(folder), group, path.stem)
            entries.append({"group": group, "artifact": artifact, "version": version, "sha256": sha256(path)})
    return entries


def _entry(jar: Jar, checksum: str) -> dict[str, str]:
    entry = {"group": jar.group, "artifact": jar.artifact, "version": jar.version, "sha256": checksum}
    return entry | {"classifier": jar.classifier or "", "type": jar.type}


def _split(cache: Path, group: str, stem: str) -> tuple[str, str]:
    """Artifact and version of a file name, told apart by the folder that Ivy made for the module."""
    modules = [folder.name for folder in (cache / group).iterdir() if stem.startswith(f"{folder.name}-")]
    artifact = max(modules, key=len)
    return artifact, stem.removeprefix(f"{artifact}-")


def main() -> None:
    """Write the lock file anew."""
    sets: dict[str, Any] = json.loads(LOCK_FILE.read_bytes())
    for entry in sets.values():
        entry["jars"] = resolve(entry["roots"], transitive=entry["transitive"], without=entry.get("without", ()))
    LOCK_FILE.write_text(json.dumps(sets, indent=2) + "\n")


if __name__ == "__main__":
    main()
