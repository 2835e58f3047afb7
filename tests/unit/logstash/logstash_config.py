"""Reads Logstash's configuration language, as far as our pipelines use it.

The grammar is Logstash's own (a section of plugins and conditions; a plugin has attributes, whose values are text,
numbers, bare words, lists, hashes and plugins), without methods, comparisons and regular expressions in conditions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(
    r"""(?P<space>(?:\s+|\#[^\n]*)+)
      | (?P<text>"[^"]*"|'[^']*')
      | (?P<field>(?:\[[^\[\],"']+\])+)
      | (?P<arrow>=>)
      | (?P<number>-?\d+(?:\.\d+)?\b)
      | (?P<word>[A-Za-z_][A-Za-z0-9_-]*)
      | (?P<sign>[{}\[\],!])""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Token:
    """A piece of the file and where it is."""

    kind: str
    text: str
    line: int


class ConfigError(Exception):
    """The file is no configuration of Logstash's, or uses more of it than is read here."""


def _tokens(source: str) -> list[Token]:
    tokens, position, line = [], 0, 1
    while position < len(source):
        match = _TOKEN.match(source, position)
        if match is None:
            raise ConfigError(f"line {line}: cannot read {source[position : position + 20]!r}")
        kind = match.lastgroup or ""
        if kind != "space":
            tokens.append(Token(kind, match[0], line))
        line += match[0].count("\n")
        position = match.end()
    return tokens


class _Reader:
    def __init__(self, source: str) -> None:
        self._tokens = _tokens(source)
        self._next = 0

    def _peek(self) -> Token:
        return self._tokens[self._next] if self._next < len(self._tokens) else Token("end", "", 0)

    def _take(self, kind: str, text: str | None = None) -> Token:
        token = self._peek()
        if token.kind != kind or (text is not None and token.text != text):
            raise ConfigError(f"line {token.line}: {text or kind} expected, not {token.text!r}")
        self._next += 1
        return token

    def _ahead(self, text: str) -> bool:
        return self._peek().text == text and self._peek().kind in ("sign", "word")

    def sections(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {"input": [], "filter": [], "output": []}
        while self._peek().kind != "end":
            name = self._take("word").text
            if name not in found:
                raise ConfigError(f"{name!r} is no section")
            found[name] += self._block()
        return found

    def _block(self) -> list[dict[str, Any]]:
        self._take("sign", "{")
        parts = []
        while not self._ahead("}"):
            parts.append(self._branch() if self._ahead("if") else self._plugin())
        self._take("sign", "}")
        return parts

    def _branch(self) -> dict[str, Any]:
        """An if with all its else ifs and its else, whose condition is null."""
        branches: list[list[Any]] = []
        self._take("word", "if")
        branches.append([self._condition(), self._block()])
        while self._ahead("else"):
            self._take("word", "else")
            if self._ahead("if"):
                self._take("word", "if")
                branches.append([self._condition(), self._block()])
            else:
                branches.append([None, self._block()])
                break
        return {"branches": branches}

    def _condition(self) -> dict[str, Any]:
        negated = self._ahead("!")
        if negated:
            self._take("sign", "!")
        return {"field": self._take("field").text, "negated": negated}

    def _plugin(self) -> dict[str, Any]:
        name = self._take("word")
        if name.text in ("if", "else"):
            raise ConfigError(f"line {name.line}: {name.text!r} is out of place")
        return {"plugin": name.text, "options": self._attributes()}

    def _attributes(self) -> dict[str, Any]:
        options: dict[str, Any] = {}
        self._take("sign", "{")
        while not self._ahead("}"):
            name = self._take("word")
            self._take("arrow")
            if name.text in options:
                raise ConfigError(f"line {name.line}: {name.text} is given twice")
            options[name.text] = self._value()
        self._take("sign", "}")
        return options

    def _value(self) -> Any:
        token = self._peek()
        if token.kind == "text":
            return self._take("text").text[1:-1]
        if token.kind == "number":
            return float(self._take("number").text) if "." in token.text else int(self._take("number").text)
        if self._ahead("["):
            return self._list()
        if self._ahead("{"):
            return self._hash()
        word = self._take("word").text
        if self._ahead("{"):
            return {"plugin": word, "options": self._attributes()}
        return {"true": True, "false": False}.get(word, word)

    def _list(self) -> list[Any]:
        self._take("sign", "[")
        values = []
        while not self._ahead("]"):
            values.append(self._value())
            if not self._ahead("]"):
                self._take("sign", ",")
        self._take("sign", "]")
        return values

    def _hash(self) -> dict[str, Any]:
        self._take("sign", "{")
        entries: dict[str, Any] = {}
        while not self._ahead("}"):
            name = self._take("text").text[1:-1]
            self._take("arrow")
            entries[name] = self._value()
        self._take("sign", "}")
        return entries


def parse(source: str) -> dict[str, list[dict[str, Any]]]:
    """The plugins and branches of a pipeline, by section.

    A plugin is ``{"plugin", "options"}``; a branch is ``{"branches": [[condition, parts], ...]}``.

    Raises:
        ConfigError: Where it is no such file.
    """
    return _Reader(source).sections()
