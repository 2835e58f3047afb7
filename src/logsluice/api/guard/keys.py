"""API keys: shown once, stored as hashes in a file that several instances may share.

A key is ``ls_<id>_<secret>``. The secret is 256 random bits, so one SHA-256 of it cannot be searched for, and is fast
enough for every request; slow hashes are for what people choose.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

import structlog
import yaml
from pydantic import BaseModel, ConfigDict, Field

from logsluice.errors import LogsluiceError
from logsluice.runtime.private_files import write_private
from logsluice.runtime.yaml_files import read_entry, read_mapping

Scope = Literal["ingest", "query", "admin"]
SCOPES: Final[tuple[Scope, ...]] = ("ingest", "query", "admin")

_KEY: Final = re.compile(r"ls_(?P<id>[a-z0-9]{12})_(?P<secret>[A-Za-z0-9_-]{43})", re.ASCII)
_ID_CHARACTERS: Final = string.ascii_lowercase + string.digits
RELOAD_SECONDS: Final = 1.0

log = structlog.get_logger(__name__)


class StoredKey(BaseModel):
    """A key as it is kept.

    Attributes:
        id: The part of the key that may be seen.
        name: Whose it is.
        sha256: Of the secret, hexadecimal.
        scopes: What it may do.
        created: When it was made.
        expires: From when on it is refused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=r"^[a-z0-9]{12}$")]
    name: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    created: datetime
    expires: datetime | None = None


class NewKey(NamedTuple):
    """A key that was just made; its text is kept nowhere."""

    text: str
    stored: StoredKey


def make_key(name: str, scopes: tuple[Scope, ...], expires: datetime | None = None) -> NewKey:
    """Make a key; without ``expires`` it is never refused."""
    key_id = "".join(secrets.choice(_ID_CHARACTERS) for _ in range(12))
    secret = secrets.token_urlsafe(32)
    created = datetime.now(UTC).replace(microsecond=0)
    stored = StoredKey(id=key_id, name=name, sha256=_hash(secret), scopes=scopes, created=created, expires=expires)
    return NewKey(f"ls_{key_id}_{secret}", stored)


def read_keys(path: Path) -> list[StoredKey]:
    """The keys of a file.

    Raises:
        LogsluiceError: The file is not there, or an entry is wrong.
    """
    if not path.is_file():
        raise LogsluiceError(
            "there is no such file", where=str(path), why="api.keys_file", hint="`logsluice api-key add` makes it"
        )
    entries = read_mapping(path).get("keys")
    if not isinstance(entries, list):
        raise LogsluiceError("must hold a list `keys`", where=str(path))
    keys = [read_entry(StoredKey, entry, path=path, kind="key", number=n) for n, entry in enumerate(entries, 1)]
    if len({key.id for key in keys}) < len(keys):
        raise LogsluiceError("two keys have the same id", where=str(path))
    return keys


def write_keys(path: Path, keys: list[StoredKey]) -> None:
    """Replace a file of keys in one step; nobody else may read it."""
    write_private(path, keys_text(keys))


def keys_text(keys: list[StoredKey]) -> str:
    """What a file of these keys says."""
    entries: list[dict[str, Any]] = [key.model_dump(mode="json", exclude_none=True) for key in keys]
    return yaml.safe_dump({"keys": entries}, sort_keys=False)


class KeyRing:
    """The keys of a file, read anew within a second of its change, so that a key can be taken back.

    While the file cannot be read, the keys of before hold.

    Raises:
        LogsluiceError: It is not there or wrong when this is made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = _state_of(path)
        self._keys = {key.id: key for key in read_keys(path)}
        self._checked_at = time.monotonic()

    def find(self, text: str) -> StoredKey | None:
        """The key of this text; None where there is none, or it has expired."""
        self._reload_if_changed()
        match = _KEY.fullmatch(text)
        if match is None:
            return None
        key = self._keys.get(match["id"])
        expected = key.sha256 if key else _hash("")
        if not hmac.compare_digest(_hash(match["secret"]), expected) or key is None:
            return None
        if key.expires is not None and datetime.now(UTC) >= key.expires.astimezone(UTC):
            return None
        return key

    def _reload_if_changed(self) -> None:
        now = time.monotonic()
        if now - self._checked_at < RELOAD_SECONDS:
            return
        self._checked_at = now
        state = _state_of(self._path)
        if state == self._state:
            return
        self._state = state
        try:
            self._keys = {key.id: key for key in read_keys(self._path)}
        except LogsluiceError as error:
            log.warning("the keys of before hold", reason=str(error))
        else:
            log.info("keys were read anew", keys=len(self._keys))


def is_key(text: str) -> bool:
    """Whether a bearer token is meant as an API key."""
    return text.startswith("ls_")


def _state_of(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
