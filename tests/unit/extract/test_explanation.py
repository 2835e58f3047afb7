"""Every field of a record has an origin, and what competed with it is told."""

from __future__ import annotations

import pytest

from logsluice.extract import Registry, load_registry
from logsluice.extract.explanation import Explanation, explain

SEEN_MS = 1_795_342_453_000


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


def origins(explanation: Explanation) -> dict[str, str | None]:
    return {provenance.field: provenance.origin for provenance in explanation.fields}


def test_a_headers_field_is_the_formats_and_a_messages_the_patterns(registry: Registry) -> None:
    line = b"Nov 22 10:14:13 web1 sshd[712]: Failed password for invalid user ann from 192.0.2.7 port 4711 ssh2"
    explanation = explain(line, registry, seen_ms=SEEN_MS)
    assert explanation.layers[0].format == "syslog"
    given = origins(explanation)
    assert given["host.name"] == given["process.pid"] == "format syslog"
    assert str(given["source.ip"]).startswith("pattern ")


def test_layers_are_told_from_the_outermost(registry: Registry) -> None:
    line = b'2026-11-22T10:14:13.5Z stdout F {"level":"info","msg":"ready","time":"2026-11-22T10:14:13Z"}'
    explanation = explain(line, registry, seen_ms=SEEN_MS)
    assert len(explanation.layers) == 2
    assert origins(explanation)["log.level"] == f"format {explanation.layers[1].format}"


def test_what_lost_is_told(registry: Registry) -> None:
    line = b"2026-11-22 10:14:13,123 WARN [main] c.acme.Kiln - the flame is out at 2026-11-21T09:00:00Z"
    explanation = explain(line, registry, seen_ms=SEEN_MS)
    (time,) = [provenance for provenance in explanation.fields if provenance.field == "@timestamp"]
    assert time.origin == f"format {explanation.layers[0].format}"
    assert any(candidate.origin == "pattern timestamp" for candidate in time.competitors)


def test_others_that_take_the_line_are_named(registry: Registry) -> None:
    explanation = explain(b"2026-11-22 10:14:13,123 WARN [main] c.acme.Kiln - cold", registry, seen_ms=SEEN_MS)
    assert "plain" in explanation.layers[0].others
