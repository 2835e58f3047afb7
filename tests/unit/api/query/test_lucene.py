"""Which queries are put to the server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logsluice.api.query.conditions import searchable_fields
from logsluice.api.query.lucene import check_query
from logsluice.errors import LogsluiceError
from logsluice.event.ecs import FIELDS

KNOWN = searchable_fields(FIELDS)
PIECES = (
    "a",
    "é",
    "user.id:",
    "nobody:",
    "*",
    "?",
    "/",
    '"',
    "\\",
    "(",
    ")",
    "[",
    " TO ",
    "]",
    "~2",
    "^3",
    " AND ",
    "-",
)


@pytest.mark.parametrize(
    "query",
    [
        "payment accepted",
        "payment AND user.id:48213",
        "log.level:(error OR critical) AND NOT refund",
        "http.response.status_code:[500 TO 599]",
        "http.response.status_code:>=500",
        "@timestamp:[now-1h TO now]",
        'url.path:"/pay/card"',
        r"url.path:\/pay",
        "labels.order_id:ORD-17",
        "_exists_:user.id",
        "user.id:*",
        "*:*",
        "*",
        "paym*",
        "payment~",
        "source.ip:10.0.0.1",
        '"connection refused"~3',
        "+payment -refund",
    ],
)
def test_what_people_ask_is_let_through(query: str) -> None:
    check_query(query, KNOWN)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("nobody:1", "nobody: no field that can be searched"),
        ("event.original:x", "event.original: no field"),
        ("_id:x", "_id: no field"),
        ("user.*:x", r"user\.\*: no field"),
        ("_exists_:nobody", "nobody: no field"),
        ("a AND (b OR x:1)", "x: no field"),
        ("*ayment", "a wildcard at the beginning"),
        ("user.id:?7", "a wildcard at the beginning"),
        ("NOT (a OR *b)", "a wildcard at the beginning"),
        ("/.*a.*b/", "regular expressions"),
        ("a/.*b/", "regular expressions"),
        ("url.path:/pay/card", "put a path in quotes"),
        ("a* b* c* d* e* f*", "too many wildcards"),
        ("a AND (", "cannot be read"),
        ('"open', "cannot be read"),
        ("", "cannot be read"),
        ("(" * 30 + "a" + ")" * 30, "too deep"),
        ("a" * 1_001, "too long"),
    ],
)
def test_what_cannot_be_answered_or_costs_much_is_refused(query: str, reason: str) -> None:
    with pytest.raises(LogsluiceError, match=reason):
        check_query(query, KNOWN)


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=100))
def test_any_text_is_let_through_or_refused_in_one_line(query: str) -> None:
    refusal = None
    try:
        check_query(query, KNOWN)
    except LogsluiceError as error:
        refusal = str(error)
    if query.lstrip().startswith(("*a", "?a", "/", "nobody:")):
        assert refusal
    assert refusal is None or "\n" not in refusal
