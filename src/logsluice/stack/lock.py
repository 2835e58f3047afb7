"""For maintainers: ``python -m logsluice.stack.lock`` resolves every set anew and writes the lock file.

To move to another version, change the roots in ``jars.lock.json`` first.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from logsluice.errors import LogsluiceError
from logsluice.stack.jars import Jar, run_ivy, sha256

LOCK_FILE = Path(__file__).with_name("jars.lock.json")


def resolve(roots: list[str], *, transitive: bool) -> list[dict[str, str]]:
    """The files that the roots (``group:artifact:version``) need, as entries of the lock file.

    Raises:
        LogsluiceError: Ivy could not have one of them.
    """
    wanted = []
    for root in roots:
        group, artifact, version = root.split(":")
        wanted.append(Jar(group, artifact, version, sha256=""))
    with tempfile.TemporaryDirectory() as folder:
        said = run_ivy(wanted, Path(folder), transitive=transitive)
        if faults := [line.strip() for line in said if "[FAILED" in line or "UNRESOLVED" in line]:
            raise LogsluiceError("not every jar can be had", why="; ".join(faults))
        entries = []
        for path in sorted((Path(folder) / "files").rglob("*.jar")):
            group = path.parent.name
            artifact, version = _split(Path(folder), group, path.stem)
            entries.append({"group": group, "artifact": artifact, "version": version, "sha256": sha256(path)})
    return entries


def _split(cache: Path, group: str, stem: str) -> tuple[str, str]:
    """Artifact and version of a file name, told apart by the folder that Ivy made for the module."""
    modules = [folder.name for folder in (cache / group).iterdir() if stem.startswith(f"{folder.name}-")]
    artifact = max(modules, key=len)
    return artifact, stem.removeprefix(f"{artifact}-")


def main() -> None:
    """Write the lock file anew."""
    sets: dict[str, Any] = json.loads(LOCK_FILE.read_bytes())
    for entry in sets.values():
        entry["jars"] = resolve(entry["roots"], transitive=entry["transitive"])
    LOCK_FILE.write_text(json.dumps(sets, indent=2) + "\n")


if __name__ == "__main__":
    main()
