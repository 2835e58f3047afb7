"""Which queries in Lucene's syntax are put to the server: those that can be read, name known fields, and cost little.

The server parses the text once more and has the last word. Source of the syntax:
https://www.elastic.co/docs/reference/query-languages/query-dsl/query-dsl-query-string-query
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from luqum.exceptions import ParseError
from luqum.thread import parse
from luqum.tree import Fuzzy, Item, SearchField, Term, Word

from logsluice.api.query.conditions import Searchable, searchable_field
from logsluice.elasticsearch.queries import Body, text_query
from logsluice.errors import LogsluiceError

LONGEST_QUERY: Final = 1_000
MOST_WILDCARDS: Final = 5
_EXISTS: Final = "_exists_"
_DEEPEST: Final = 20
_FUZZY_TERMS: Final = 50


def check_query(query: str, fields: Searchable) -> None:
    """Refuse a query that cannot be read, names an unknown field, or would make the server look at every term.

    Raises:
        LogsluiceError: What is wrong with it, and how to write it.
    """
    if len(query) > LONGEST_QUERY:
        raise LogsluiceError("too long", where="query", why=f"more than {LONGEST_QUERY} characters")
    if "/" in _outside_quotes(query):
        raise LogsluiceError(
            "regular expressions are not searched for",
            where="query",
            why="what stands between two / is one",
            hint='put a path in quotes: url.path:"/pay/card"',
        )
    if _depth(query) > _DEEPEST:
        raise LogsluiceError("too deep", where="query", why=f"more than {_DEEPEST} brackets in one another")
    try:
        tree = parse(query)
    except ParseError as error:
        raise LogsluiceError(
            "cannot be read", where="query", why=str(error), hint="put in quotes what is text"
        ) from None
    wild = 0
    for node in _nodes(tree):
        if isinstance(node, SearchField):
            _check_field(node, fields)
        elif isinstance(node, Fuzzy) or (isinstance(node, Term) and node.has_wildcard()):
            wild += 1
        if isinstance(node, Word) and node.value.startswith(("*", "?")) and node.value != "*":
            raise LogsluiceError(
                "a wildcard at the beginning of a word",
                where=f"query, {node.value}",
                why="every word there is would have to be looked at",
                hint="write the beginning of the word, as in paym*",
            )
    if wild > MOST_WILDCARDS:
        raise LogsluiceError("too many wildcards", where="query", why=f"more than {MOST_WILDCARDS} words with * ? or ~")


def text_condition(query: str) -> Body:
    """A query in Lucene's syntax, put so that it cannot make the server look at every term."""
    return text_query(query, allow_leading_wildcard=False, fuzzy_max_expansions=_FUZZY_TERMS)


def _check_field(node: SearchField, fields: Searchable) -> None:
    if node.name == "*" and str(node.expr).strip() == "*":
        return
    if node.name == _EXISTS:
        searchable_field(str(node.expr).strip().strip('"'), fields)
    else:
        searchable_field(node.name, fields)


def _nodes(tree: Item) -> Iterator[Item]:
    unvisited = [tree]
    while unvisited:
        node = unvisited.pop()
        yield node
        unvisited += node.children


def _outside_quotes(query: str) -> Iterator[str]:
    """The characters that have a meaning of their own: neither escaped nor in quotes."""
    quoted = False
    characters = iter(query)
    for character in characters:
        if character == "\\":
            next(characters, None)
        elif character == '"':
            quoted = not quoted
        elif not quoted:
            yield character


def _depth(query: str) -> int:
    deepest = depth = 0
    for character in _outside_quotes(query):
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    return deepest
