"""``logsluice api-key``: adds, lists and removes keys of the HTTP API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table

from logsluice.api.guard.keys import SCOPES, Scope, make_key, read_keys, write_keys
from logsluice.errors import LogsluiceError
from logsluice.runtime.entrypoint import ConfigOption
from logsluice.runtime.terminal import Terminal, printable
from logsluice.settings import load_settings

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Keys of the HTTP API.")
_FILE: Final = "api-keys.yaml"

KeysFile = Annotated[
    Path | None, typer.Option("--file", help="File of hashed keys; api.keys_file, or api-keys.yaml in the home folder.")
]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    scope: Annotated[list[str] | None, typer.Option(help="ingest, query or admin; may be given again.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Days until it expires; never, where left out.")] = None,
    file: KeysFile = None,
    config: ConfigOption = None,
) -> None:
    """Make a key and print it, this once; the file keeps its hash alone."""
    path = _path(file, config)
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days) if days else None
    new = make_key(name, _scopes(scope or ["ingest"]), expires)
    write_keys(path, [*(read_keys(path) if path.is_file() else []), new.stored])
    Terminal(stderr=True).print(
        f"{printable(name)} may {', '.join(new.stored.scopes)}; the key is not shown again. Its hash is in {path}:"
        f" the API reads it with LOGSLUICE_API__KEYS_FILE={path}",
        soft_wrap=True,
    )
    Terminal(soft_wrap=True).print(new.text)


@app.command("list")
def list_keys(file: KeysFile = None, config: ConfigOption = None) -> None:
    """Show whose keys there are."""
    table = Table("id", "name", "scopes", "created", "expires")
    for key in read_keys(_path(file, config)):
        table.add_row(
            key.id,
            printable(key.name),
            ", ".join(key.scopes),
            f"{key.created:%Y-%m-%d}",
            f"{key.expires:%Y-%m-%d}" if key.expires else "never",
        )
    Terminal().print(table)


@app.command()
def remove(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `list` shows it.")],
    file: KeysFile = None,
    config: ConfigOption = None,
) -> None:
    """Take a key back; running instances refuse it within a second."""
    path = _path(file, config)
    keys = read_keys(path)
    remaining = [key for key in keys if key.id != key_id]
    if len(remaining) == len(keys):
        raise LogsluiceError("there is no such key", where=f"{path}, {key_id}", hint="`logsluice api-key list`")
    write_keys(path, remaining)


def _scopes(names: list[str]) -> tuple[Scope, ...]:
    if unknown := [name for name in names if name not in SCOPES]:
        raise LogsluiceError("not a scope", where=f"--scope {unknown[0]}", hint=f"one of {', '.join(SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in names)


def _path(file: Path | None, config: Path | None) -> Path:
    if file is not None:
        return file
    settings = load_settings(config)
    return settings.api.keys_file or settings.home / _FILE
