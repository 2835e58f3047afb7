"""Files that are replaced as a whole, in a folder of this machine or in S3."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import httpx
from pyarrow import fs

from logsluice.errors import LogsluiceError

_HIDDEN = ("_", ".")
_ENDPOINT = "AWS_ENDPOINT_URL"
_CREDENTIALS_URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
_TOKEN_FILE = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"  # noqa: S105 - the name of a variable
_CREDENTIALS_SECONDS = 600


class Store:
    """A place for files; paths are relative to it, with slashes.

    Args:
        location: A folder, or an S3 URL (``s3://`` or ``s3a://``).

    Raises:
        LogsluiceError: The URL is of another kind.
    """

    def __init__(self, location: str) -> None:
        parts = urlsplit(location)
        self._bucket = parts.netloc if parts.scheme in ("s3", "s3a") else None
        if self._bucket:
            self._root = f"{self._bucket}/{parts.path.strip('/')}".rstrip("/")
        elif "://" in location and parts.scheme != "file":
            raise LogsluiceError("no way to write there", where=location, hint="name a folder, or an s3a:// URL")
        else:
            self._root = str(Path(location.removeprefix("file://")).absolute())

    def read(self, path: str) -> bytes | None:
        """A file's content; None where there is no such file."""
        try:
            with self._files().open_input_file(self._at(path)) as file:
                return bytes(file.read())
        except FileNotFoundError:
            return None

    def write(self, path: str, content: bytes) -> None:
        """Put a file in place, in one step."""
        with self.replacing(path) as file:
            file.write(content)

    @contextmanager
    def replacing(self, path: str) -> Iterator[BinaryIO]:
        """A file to write to, which is put in place when the block is left without an error.

        Until then it has a name that nobody reads: of an upload that is left by an error S3 would keep the half that
        is there. Another attempt at the same task may write the same file at this moment.
        """
        files = self._files()
        folder, _, name = self._at(path).rpartition("/")
        aside = f"{folder}/{_HIDDEN[0]}{name}.{os.getpid()}.tmp"
        if not self._bucket:
            files.create_dir(folder)
        try:
            with files.open_output_stream(aside) as file:
                yield file
        except BaseException:
            with suppress(OSError):
                files.delete_file(aside)
            raise
        if not self._bucket:
            with Path(aside).open("rb") as written:
                os.fsync(written.fileno())
        files.move(aside, self._at(path))

    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder, in order; none where there is no such folder."""
        return [name for name in self._entries(folder, fs.FileType.File) if not name.startswith(_HIDDEN)]

    def folders(self, folder: str) -> list[str]:
        """The names of the folders in a folder, in order."""
        return self._entries(folder, fs.FileType.Directory)

    def delete(self, path: str) -> None:
        """Delete a file, or a folder with all that is in it; nothing where it is not there."""
        files = self._files()
        kind = files.get_file_info(self._at(path)).type
        if kind == fs.FileType.Directory:
            files.delete_dir(self._at(path))
        elif kind == fs.FileType.File:
            files.delete_file(self._at(path))

    def _entries(self, folder: str, kind: fs.FileType) -> list[str]:
        found = self._files().get_file_info(fs.FileSelector(self._at(folder), allow_not_found=True))
        return sorted(str(entry.base_name) for entry in found if entry.type == kind)

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}".rstrip("/")

    def _files(self) -> fs.FileSystem:
        return _s3(self._bucket, int(time.time() // _CREDENTIALS_SECONDS)) if self._bucket else fs.LocalFileSystem()


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
