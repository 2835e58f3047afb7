"""What is kept of a shipped file, and when it is the same file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from logsluice.errors import LogsluiceError
from logsluice.inputs.files import FileError
from logsluice.ship.state import ClaimedState, ShipStates


@contextmanager
def claimed(home: Path, path: Path, topic_id: str = "t", *, again: bool = False) -> Iterator[ClaimedState]:
    descriptor = os.open(path, os.O_RDONLY)
    claim = ShipStates(home, topic_id).claim(str(path), descriptor, again=again)
    try:
        yield claim
    finally:
        claim.release()
        os.close(descriptor)


def ship(home: Path, path: Path, position: int) -> str:
    with claimed(home, path) as claim:
        claim.state.position = position
        claim.state.ends = {0: 7, 3: 9}
        claim.save()
        return claim.state.ship_id


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_bytes(b"first line\n")
    return path


def test_a_file_is_known_again_by_any_name(tmp_path: Path, log: Path) -> None:
    ship_id = ship(tmp_path, log, 11)
    with log.open("ab") as file:
        file.write(b"more\n" * 1_000)
    with claimed(tmp_path, log.rename(tmp_path / "app.log.1")) as claim:
        assert (claim.state.ship_id, claim.state.position, claim.state.ends) == (ship_id, 11, {0: 7, 3: 9})
        assert not claim.replaced


@pytest.mark.parametrize("content", [b"", b"first", b"other line\nand more\n"])
def test_other_content_is_another_file(tmp_path: Path, log: Path, content: bytes) -> None:
    ship_id = ship(tmp_path, log, 11)
    log.write_bytes(content)
    with claimed(tmp_path, log) as claim:
        assert claim.replaced
        assert claim.state.ship_id != ship_id
        assert claim.state.position == 0


def test_other_content_is_noticed_while_the_file_is_open(tmp_path: Path, log: Path) -> None:
    with claimed(tmp_path, log) as claim:
        assert claim.same_file()
        log.write_bytes(b"second line, longer than the first\n")
        claim.save()
        assert not claim.same_file()


def test_another_topic_knows_nothing_of_it(tmp_path: Path, log: Path) -> None:
    ship(tmp_path, log, 11)
    with claimed(tmp_path, log, "made anew") as claim:
        assert claim.state.position == 0
        assert not claim.replaced


def test_again_forgets(tmp_path: Path, log: Path) -> None:
    ship_id = ship(tmp_path, log, 11)
    with claimed(tmp_path, log, again=True) as claim:
        assert claim.state.position == 0
        assert claim.state.ship_id != ship_id


def test_one_at_a_time(tmp_path: Path, log: Path) -> None:
    with claimed(tmp_path, log), pytest.raises(FileError, match="being shipped already"), claimed(tmp_path, log):
        pass
    with claimed(tmp_path, log):
        pass


def test_a_damaged_state_is_named(tmp_path: Path, log: Path) -> None:
    ship(tmp_path, log, 11)
    (state,) = tmp_path.glob("ship/t/*.json")
    state.write_text("{broken")
    with pytest.raises(LogsluiceError, match=r"\.json: is not readable"), claimed(tmp_path, log):
        pass
