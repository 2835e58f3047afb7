from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from logsluice.errors import LogsluiceError
from logsluice.jvm import jars
from logsluice.jvm.jars import Jar, fetch_error, jar_paths, locked


def test_every_pinned_file_has_a_checksum_and_a_place_of_its_own() -> None:
    names = {"kafka", "elasticsearch", "spark-kafka", "spark-s3", "jmx-exporter", "schema-registry"}
    assert set(locked()) == names
    for name, pinned in locked().items():
        assert pinned, name
        assert len({jar.path for jar in pinned}) == len(pinned)
        for jar in pinned:
            assert re.fullmatch(r"[0-9a-f]{64}", jar.sha256), jar


def test_the_same_file_has_the_same_checksum_in_every_set() -> None:
    known: dict[Path, str] = {}
    for pinned in locked().values():
        for jar in pinned:
            assert known.setdefault(jar.path, jar.sha256) == jar.sha256


def test_the_servers_and_the_connector_are_the_designed_versions() -> None:
    everything = {jar.coordinates for pinned in locked().values() for jar in pinned}
    assert everything >= {
        "org.apache.kafka:kafka_2.13:4.3.1",
        "org.elasticsearch:elasticsearch:9.5.3",
        "org.elasticsearch.plugin:transport-netty4:9.5.3",
    }
    assert {jar.coordinates for jar in locked()["spark-kafka"]} == {
        "org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0",
        "org.apache.spark:spark-token-provider-kafka-0-10_2.13:4.0.0",
        "org.apache.kafka:kafka-clients:3.9.2",
        "org.apache.commons:commons-pool2:2.13.1",
    }


def test_files_that_are_there_are_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"not a jar, but the pinned bytes"
    jar = Jar("org.example", "thing", "1.0", hashlib.sha256(content).hexdigest(), classifier="all", type="tar.gz")
    monkeypatch.setattr(jars, "locked", lambda: {"mine": (jar,)})
    # No Java: any attempt to fetch fails.
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    place = tmp_path / "jars" / "org.example" / "thing-1.0-all.tar.gz"
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    assert jar_paths("mine", cache=tmp_path) == [place]
    place.write_bytes(b"damaged")
    with pytest.raises(LogsluiceError, match="Java was not found"):
        jar_paths("mine", cache=tmp_path)


@pytest.mark.parametrize(
    "message",
    [
        "ERROR: Server access error at url http://x/thing-1.0.jar (java.net.ConnectException: Connection refused)",
        "CLIENT ERROR: File not found url=http://x/thing-1.0.jar",
        "WARN: Host x not found. url=http://x/thing-1.0.jar",
    ],
)
def test_the_jar_that_could_not_be_had_is_named_with_the_networks_words(message: str) -> None:
    left = [Jar("org.example", name, "1.0", "") for name in ("another", "thing")]
    error = fetch_error(left, 7, ["tried http://x/another-1.0.jar", "WARN: module not found: another", message])
    assert error.where == "org.example:thing:1.0"
    assert error.what == "could not be fetched, nor 1 more of 7 jars"
    assert error.why == message.partition(": ")[2]


def test_a_cache_that_can_not_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LogsluiceError, match=r"can't be used \(Not a directory\); let LOGSLUICE_CACHE"):
        jar_paths("spark-kafka", cache=tmp_path / "file")
