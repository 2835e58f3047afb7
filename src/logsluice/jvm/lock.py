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
from logsluice.jvm.jars import LOCK_FILE, Jar, run_ivy, sha256


def resolve(roots: list[str], *, transitive: bool, without: Sequence[str] = ()) -> dict[str, str]:
    """The checksum of each file that the roots need, by its coordinates.

    Args:
        without: Groups, or ``group:artifact``, of what they depend on that are not needed: Spark has them.

    Raises:
        LogsluiceError: Ivy could not have one of them.
    """
    jars = [Jar.parse(root) for root in roots]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        output = run_ivy(jars, folder, transitive=transitive, without=without)
        if faults := [line.strip() for line in output if "[FAILED" in line or "UNRESOLVED" in line]:
            raise LogsluiceError("not every jar can be had", why="; ".join(faults))
        found = {jar.coordinates: folder / "files" / jar.path for jar in jars if jar.type != "jar"}
        found |= {_coordinates(folder, path): path for path in sorted((folder / "files").rglob("*.jar"))}
        return {coordinates: sha256(path) for coordinates, path in found.items()}


def _coordinates(cache: Path, jar: Path) -> str:
    """Artifact and version in a file's name are told apart by the folder that Ivy made for the module."""
    group = jar.parent.name
    artifact = max((f.name for f in (cache / group).iterdir() if jar.stem.startswith(f"{f.name}-")), key=len)
    return f"{group}:{artifact}:{jar.stem.removeprefix(f'{artifact}-')}"


def main() -> None:
    """Write the lock file anew."""
    sets: dict[str, Any] = json.loads(LOCK_FILE.read_bytes())
    for entry in sets.values():
        entry["jars"] = resolve(entry["roots"], transitive=entry["transitive"], without=entry.get("without", ()))
    LOCK_FILE.write_text(json.dumps(sets, indent=2) + "\n")


if __name__ == "__main__":
    main()
