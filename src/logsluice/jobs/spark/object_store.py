"""Files that are replaced as a whole, in a folder of this machine or in S3."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import urlsplit

import httpx
from pyarrow import fs

from logsluice.errors import LogsluiceError

_HIDDEN = "."
_ENDPOINT = "AWS_ENDPOINT_URL"
_CREDENTIALS_URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
_TOKEN_FILE = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"  # noqa: S105 - the name of a variable
_CREDENTIALS_SECONDS = 600


class Store(Protocol):
    """A place for files; paths are relative to it, with slashes."""

    def read(self, path: str) -> bytes | None:
        """A file's content; None where there is no such file."""
        ...

    def write(self, path: str, content: bytes) -> None:
        """Put a file in place, in one step."""
        ...

    def replacing(self, path: str) -> AbstractContextManager[BinaryIO]:
        """A file to write to, which is put in place when the block is left without an error."""
        ...

    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder, in order; none where there is no such folder."""
        ...

    def folders(self, folder: str) -> list[str]:
        """The names of the folders in a folder, in order."""
        ...

    def delete(self, path: str) -> None:
        """Delete a file, or a folder with all that is in it; nothing where it is not there."""
        ...


def store_at(location: str) -> Store:
    """The store at a folder, or at an S3 URL (``s3://`` or ``s3a://``).

    Raises:
        LogsluiceError: The URL is of another kind.
    """
    scheme = urlsplit(location).scheme
    if scheme in ("s3", "s3a"):
        return S3Store(location)
    if "://" in location and scheme != "file":
        raise LogsluiceError("no way to write there", where=location, hint="name a folder, or an s3a:// URL")
    return LocalStore(Path(location.removeprefix("file://")))


class LocalStore:
    """A folder of this machine: a file is written aside, and moved into place."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> bytes | None:
        """See :class:`Store`."""
        try:
            return (self._root / path).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, path: str, content: bytes) -> None:
        """See :class:`Store`."""
        with self.replacing(path) as file:
            file.write(content)

    @contextmanager
    def replacing(self, path: str) -> Iterator[BinaryIO]:
        """See :class:`Store`."""
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        # Another attempt at the same task may write the same file at this moment.
        aside = target.with_name(f"{_HIDDEN}{target.name}.{os.getpid()}")
        try:
            with aside.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)

    def names(self, folder: str) -> list[str]:
        """See :class:`Store`."""
        return [entry.name for entry in self._entries(folder) if entry.is_file()]

    def folders(self, folder: str) -> list[str]:
        """See :class:`Store`."""
        return [entry.name for entry in self._entries(folder) if entry.is_dir()]

    def delete(self, path: str) -> None:
        """See :class:`Store`."""
        target = self._root / path
        if target.is_dir():
            shutil.rmtree(target, ignore_errors=True)
        else:
            target.unlink(missing_ok=True)

    def _entries(self, folder: str) -> list[Path]:
        place = self._root / folder
        if not place.is_dir():
            return []
        return sorted(entry for entry in place.iterdir() if not entry.name.startswith(_HIDDEN))


class S3Store:
    """A prefix of a bucket; S3 itself puts an object in place in one step."""

    def __init__(self, location: str) -> None:
        parts = urlsplit(location)
        self._bucket = parts.netloc
        self._root = f"{parts.netloc}/{parts.path.strip('/')}".rstrip("/")

    def read(self, path: str) -> bytes | None:
        """See :class:`Store`."""
        try:
            with self._files().open_input_file(self._at(path)) as file:
                return bytes(file.read())
        except FileNotFoundError:
            return None

    def write(self, path: str, content: bytes) -> None:
        """See :class:`Store`."""
        with self.replacing(path) as file:
            file.write(content)

    @contextmanager
    def replacing(self, path: str) -> Iterator[BinaryIO]:
        """See :class:`Store`."""
        # Left by an error, the upload would still be completed: what is there then is half a file, until the
        # batch is done again. So it goes to a name that nobody reads, and is copied when it is whole.
        files = self._files()
        *folders, name = self._at(path).split("/")
        aside = "/".join([*folders, f"_{name}.tmp"])
        with files.open_output_stream(aside) as file:
            yield file
        files.move(aside, self._at(path))

    def names(self, folder: str) -> list[str]:
        """See :class:`Store`."""
        files = [entry.base_name for entry in self._entries(folder) if entry.type == fs.FileType.File]
        return [name for name in files if not name.startswith("_")]

    def folders(self, folder: str) -> list[str]:
        """See :class:`Store`."""
        return [entry.base_name for entry in self._entries(folder) if entry.type == fs.FileType.Directory]

    def delete(self, path: str) -> None:
        """See :class:`Store`."""
        files = self._files()
        kind = files.get_file_info(self._at(path)).type
        if kind == fs.FileType.Directory:
            files.delete_dir(self._at(path))
        elif kind == fs.FileType.File:
            files.delete_file(self._at(path))

    def _entries(self, folder: str) -> list[fs.FileInfo]:
        found = self._files().get_file_info(fs.FileSelector(self._at(folder), allow_not_found=True))
        return sorted(found, key=lambda entry: str(entry.base_name))

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}".rstrip("/")

    def _files(self) -> fs.S3FileSystem:
        return _s3(self._bucket, int(time.time() // _CREDENTIALS_SECONDS))


@lru_cache(maxsize=4)
def _s3(bucket: str, _period: int) -> fs.S3FileSystem:
    """A client; made anew every ten minutes, as the credentials of a pod do not last.

    As every client of AWS's own, it goes elsewhere where ``AWS_ENDPOINT_URL`` says so.
    """
    region = os.environ.get("AWS_REGION") or fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(region=region, endpoint_override=os.environ.get(_ENDPOINT), **pod_identity())


def pod_identity() -> dict[str, str]:
    """Credentials of EKS Pod Identity, which Arrow's S3 client does not know of; none where this is no such pod.

    Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
    """
    uri, token = os.environ.get(_CREDENTIALS_URI), os.environ.get(_TOKEN_FILE)
    if not uri or not token:
        return {}
    answer = httpx.get(uri, headers={"Authorization": Path(token).read_text().strip()}, timeout=10, trust_env=False)
    found = answer.raise_for_status().json()
    return {
        "access_key": found["AccessKeyId"],
        "secret_key": found["SecretAccessKey"],
        "session_token": found["Token"],
    }
