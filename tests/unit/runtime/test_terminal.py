"""What comes from outside is shown on a terminal and never obeyed, wherever it is printed."""

from __future__ import annotations

import ast
import asyncio
import io
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from rich.live import Live
from rich.table import Table
from rich.text import Text

from logsluice.api import middleware
from logsluice.cli.demo import screen
from logsluice.demo.pipeline import Snapshot
from logsluice.runtime.logging import configure_logging
from logsluice.runtime.terminal import JsonOutput, Terminal, json_line, printable, printable_lines
from logsluice.settings import ApiSettings, load_settings

ROOT = Path(__file__).parents[3]
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]")
NASTY = "\x1b]0;owned\x07 \x9b2J \u202egnp.exe \u2066x [/x] [bold] :smile: \ud800"
TEXTS = st.text(st.characters(codec=None)) | st.sampled_from([NASTY, "[/x]", "[", "[/]"])
PRINTS = {"print", "echo", "secho", "Console"}


def printed(*renderables: Any) -> str:
    terminal = Terminal()
    with terminal.capture() as captured:
        terminal.print(*renderables)
    return captured.get()


@given(TEXTS)
def test_no_text_reaches_a_terminal_as_it_is(text: str) -> None:
    table = Table("column", title=text)
    table.add_row(text)
    table.add_row(Text(text))
    for shown in (printable(text), printable_lines(text), printed(text), printed(Text(text)), printed(table)):
        assert not CONTROLS.search(shown)
        shown.encode()


@given(
    st.recursive(
        st.text() | st.integers(-(2**53), 2**53), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_that_is_shown_means_the_same(document: Any) -> None:
    line = json_line(document)
    assert orjson.loads(line) == document
    assert not CONTROLS.search(line.decode())


@given(st.lists(st.text(), max_size=5), st.integers(1, 7))
def test_json_in_pieces_is_shown_whole(texts: list[str], size: int) -> None:
    content = b"".join(orjson.dumps({"text": text}) + b"\n" for text in texts)
    out = io.BytesIO()
    shown = JsonOutput(out)
    for start in range(0, len(content), size):
        shown.write(content[start : start + size])
    assert [orjson.loads(line) for line in out.getvalue().splitlines()] == [{"text": text} for text in texts]
    assert not CONTROLS.search(out.getvalue().decode())


def test_what_is_ordinary_stays_as_it_is() -> None:
    for text in ("plain", "Grüße, 日本語", "family 👨\u200d👩\u200d👧", "[0-9]+ and [bold]"):
        assert printable(text) == text
        assert printed(text) == text + "\n"
    assert printed("two\nlines\tand a tab").splitlines() == ["two", "lines   and a tab"]


def test_a_service_may_have_any_name_in_the_demos_table() -> None:
    names = Counter({"[/x]": 3, NASTY: 2, "payment": 1})
    drawn = screen(Snapshot(at=0), Snapshot(at=1, errors=names, patterns=Counter({"[/y]": 1})), load_settings())
    terminal = Terminal()
    terminal.width = 200
    with terminal.capture() as captured, Live(drawn, console=terminal, auto_refresh=False):
        pass
    shown = captured.get()
    assert not CONTROLS.search(shown)
    assert "[/x]" in shown
    assert "[/y]" in shown
    assert r"\x1b]0;owned\x07" in shown


class Stream(io.StringIO):
    """Standard error, on a terminal or not."""

    def __init__(self, tty: bool) -> None:
        super().__init__()
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty


@pytest.fixture(params=[True, False], ids=["terminal", "file"])
def stderr(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stream]:
    stream = Stream(request.param)
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging()
    yield stream
    structlog.reset_defaults()


def lines(stream: Stream) -> str:
    """What was written, without the colours of our own."""
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())


def test_a_path_and_a_client_cannot_write_into_the_access_log(stderr: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "log", structlog.get_logger("access"))

    async def answer(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def nothing(*_arguments: Any) -> Any: ...

    agent = "\x1b[2J\u202e".encode()
    path = NASTY.replace("\ud800", "") + "\r\nsecond line"
    scope = {"type": "http", "method": "GET", "path": f"/{path}", "query_string": b"a=\x1b[31m\x9b"}
    scope |= {"headers": [(b"user-agent", agent)], "client": ("1.2.3.4\x1b[1m", 1)}
    asyncio.run(middleware.RequestMiddleware(answer, ApiSettings())(scope, nothing, nothing))
    shown = lines(stderr)
    assert "404" in shown
    assert not CONTROLS.search(shown)
    assert len(shown.splitlines()) == 1


def test_an_exception_keeps_its_lines_and_nothing_else(stderr: Stream) -> None:
    try:
        raise ValueError(NASTY)
    except ValueError:
        structlog.get_logger("test").error("failed", exc_info=True, what=NASTY, several=[NASTY])
    assert not CONTROLS.search(lines(stderr))
    assert "Traceback" in lines(stderr)


def test_everything_is_printed_by_the_one_terminal() -> None:
    found = []
    for path in sorted([*ROOT.glob("src/logsluice/**/*.py"), *ROOT.glob("jobs/*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if name.rpartition(".")[2] in PRINTS - {"print"} or name == "print":
                    found.append((path.name, name))
                if re.fullmatch(r"sys\.std(out|err)\.(buffer\.)?write(lines)?", name):
                    found += [] if "json_line(" in ast.unparse(node) else [(path.name, name)]
    assert found == []
