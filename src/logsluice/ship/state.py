"""The stored position of each shipped file, from which a process killed at any time resumes.

A file is known by device, inode and the hash of its first bytes: a renamed file stays the same one, a file
written anew in its place is another. What has been shipped belongs to one topic, known by Kafka's id.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import orjson

from logsluice.errors import LogsluiceError
from logsluice.inputs.files import FileError

_FINGERPRINT_BYTES: Final = 1024


@dataclass(slots=True)
class FileState:
    """One file's way into one topic.

    Attributes:
        ship_id: Marks the records of this file in the topic.
        position: Everything before this offset of the uncompressed file is in the topic.
        size: Bytes of the file on disk when it was last read to its end; ``None`` before that.
        seen: The most bytes it has had; one that has fewer was truncated.
        fingerprint: SHA-256 of its first ``fingerprint_bytes`` bytes.
        ends: By partition, an offset before which no record past ``position`` is.
        sending: Whether records past ``position`` may be in the topic.
    """

    ship_id: str
    path: str
    position: int = 0
    size: int | None = None
    seen: int = 0
    fingerprint: str = ""
    fingerprint_bytes: int = 0
    ends: dict[int, int] = field(default_factory=dict)
    sending: bool = False


class ShipStates:
    """The states of all files that were shipped into one topic."""

    def __init__(self, home: Path, topic_id: str) -> None:
        self._folder = home / "ship" / topic_id

    def claim(self, name: str, descriptor: int, *, again: bool = False) -> ClaimedState:
        """Take an open file for this process.

        Args:
            again: Forget what was shipped of it.

        Raises:
            FileError: Another process ships it right now.
            LogsluiceError: The folder of states cannot be written, or a state not be read.
        """
        status = os.fstat(descriptor)
        stem = f"{status.st_dev:x}-{status.st_ino:x}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._folder / f"{stem}.lock", os.O_CREAT | os.O_RDWR, 0o644)
        except OSError as error:
            raise LogsluiceError(
                "cannot keep what was shipped",
                where=str(self._folder),
                why=error.strerror,
                hint="set LOGSLUICE_HOME to a folder that can be written",
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise FileError("is being shipped already", where=name) from None
        claimed = ClaimedState(self._folder / f"{stem}.json", lock, descriptor, Path(name).absolute())
        try:
            claimed.load(again=again)
        except BaseException:
            claimed.release()
            raise
        return claimed


class ClaimedState:
    """The state of one file, locked until it is released."""

    def __init__(self, file: Path, lock: int, descriptor: int, path: Path) -> None:
        self._file = file
        self._lock = lock
        self._descriptor = descriptor
        self.state = FileState(ship_id=_new_id(), path=str(path))
        self.replaced = False
        """Whether the file was seen before with other content: truncated or written anew."""

    def load(self, *, again: bool) -> None:
        """Read what was kept, where it is about this very file."""
        path = self.state.path
        try:
            kept = orjson.loads(self._file.read_bytes())
            kept["ends"] = {int(partition): offset for partition, offset in kept["ends"].items()}
            known: FileState | None = FileState(**kept)
        except FileNotFoundError:
            known = None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise LogsluiceError(
                "is not readable as the state of a shipped file",
                where=str(self._file),
                hint="delete it to ship the file from its beginning",
            ) from None
        if known is not None and not again:
            self.replaced = not self.same_file(known)
            if not self.replaced:
                self.state, known.path = known, path
        self._update_fingerprint()

    def same_file(self, known: FileState | None = None) -> bool:
        """Whether the file still begins as it did and has not become shorter."""
        known = known or self.state
        return (
            os.fstat(self._descriptor).st_size >= known.seen
            and self._hash(known.fingerprint_bytes) == known.fingerprint
        )

    def save(self) -> None:
        """Write the state so that it survives a crash of this process and of the machine.

        Raises:
            LogsluiceError: It cannot be written.
        """
        self._update_fingerprint()
        temporary = self._file.with_suffix(".new")
        options = orjson.OPT_NON_STR_KEYS | orjson.OPT_INDENT_2
        try:
            with temporary.open("wb") as file:
                file.write(orjson.dumps(asdict(self.state), option=options))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._file)
        except OSError as error:
            raise LogsluiceError("cannot keep what was shipped", where=str(self._file), why=error.strerror) from None

    def release(self) -> None:
        """Let other processes have the file."""
        os.close(self._lock)

    def _update_fingerprint(self) -> None:
        """Note size and fingerprint as they are now; only a file that grew may change them."""
        state = self.state
        size = os.fstat(self._descriptor).st_size
        if state.fingerprint and not self.same_file():
            return
        state.seen = size
        if state.fingerprint_bytes < _FINGERPRINT_BYTES:
            state.fingerprint_bytes = min(size, _FINGERPRINT_BYTES)
            state.fingerprint = self._hash(state.fingerprint_bytes)

    def _hash(self, count: int) -> str:
        return hashlib.sha256(os.pread(self._descriptor, count, 0)).hexdigest()


def _new_id() -> str:
    return uuid.uuid4().hex[:16]
