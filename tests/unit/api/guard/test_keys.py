"""API keys, idempotency keys, and where it may listen without any."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logsluice.api.guard.keys import KeyRing, is_key, make_key, read_keys, write_keys
from logsluice.api.ingest.idempotency import post_id
from logsluice.api.problems import ProblemError
from logsluice.api.server import check_exposure, is_loopback
from logsluice.errors import LogsluiceError
from logsluice.settings import ApiSettings


def test_a_file_of_keys_holds_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    new = make_key("shop", ("ingest",))
    write_keys(path, [new.stored])
    assert new.text.rpartition("_")[2] not in path.read_text()
    assert is_key(new.text)
    assert read_keys(path) == [new.stored]
    ring = KeyRing(path)
    assert ring.find(new.text) == new.stored
    for wrong in ("", new.text[:-1], new.text + "a", new.text.replace(new.stored.id, "a" * 12), "ls__", "ls_é_x"):
        assert ring.find(wrong) is None


def test_a_key_expires(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    now = datetime.now(UTC)
    over, valid = (make_key("x", ("query",), now + timedelta(hours=hours)) for hours in (-1, 1))
    write_keys(path, [over.stored, valid.stored])
    ring = KeyRing(path)
    assert ring.find(over.text) is None
    assert ring.find(valid.text) == valid.stored


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("keys: 5", "must hold a list"),
        ("keys: [{id: x}]", "key number 1"),
        ("keys: [{name: shop, id: aaaaaaaaaaaa, sha256: zz, scopes: [ingest], created: 2026-01-01}]", "key 'shop'"),
        ("[", "is not valid YAML"),
    ],
)
def test_a_wrong_file_of_keys_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text(text)
    with pytest.raises(LogsluiceError, match=message) as error:
        read_keys(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.1.2.3", False),
        ("no.such.name.invalid", False),
    ],
)
def test_only_loopback_is_open(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback
    if not loopback:
        with pytest.raises(LogsluiceError, match="api-key add"):
            check_exposure(ApiSettings(host=host))
        check_exposure(ApiSettings(host=host, keys_file=Path("keys.yaml")))


@given(st.text(max_size=300))
def test_an_idempotency_key_is_visible_ascii(key: str) -> None:
    bare = key.strip().removeprefix('"').removesuffix('"')
    visible = all("\x21" <= letter <= "\x7e" and letter != '"' for letter in bare)
    if not visible or not 0 < len(bare) <= 255:
        with pytest.raises(ProblemError, match="visible ASCII"):
            post_id("caller", "/logs", key)
        return
    found = post_id("caller", "/logs", key)
    assert found == post_id("caller", "/logs", f'"{bare}"')
    assert found != post_id("other", "/logs", key)
    assert found != post_id("caller", "/logs/batch", key)


def test_the_hash_of_a_key_is_that_of_its_secret() -> None:
    new = make_key("x", ("admin",))
    assert new.stored.sha256 == hashlib.sha256(new.text[16:].encode()).hexdigest()
