"""Message templates, and the kinds of errors that are made of them."""

from __future__ import annotations

from collections import defaultdict

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logsluice.reports.error_types import error_types
from logsluice.reports.masking import endpoints, templates
from tests.shared.log_sets import labels

PIECES = st.one_of(
    st.sampled_from(
        ["user", " ", "  ", "\t", "\n", "'", '"', "`", "{number}", "{", "}", "=", ":", ",", "(", ")", "[", "]"]
    ),
    st.sampled_from(["5", "-5", "+7.25", "0x1F", "35ms", "a1b2c3", "deadbeef", "ff", "5a:", "_", "blk_-16", "x" * 201]),
    st.sampled_from(["10.0.0.1", "10.0.0.1:80", "::1", "fe80::a", "aa:bb:cc:dd:ee:ff", "2026-11-22T10:15:30Z"]),
    st.sampled_from(["6f1c1e9e-0b1a-4c3d-8e2f-aaaaaaaaaaaa", "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa", "a@b.example"]),
    st.sampled_from(["/var/log/x", "C:\\x\\y", "./a", "http://x/y", "é", "\x1b[31m", "\x00", "\u2028"]),
    st.text(max_size=5),
)


def template(message: str) -> str:
    return str(templates(pl.Series([message])).item())


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Failed to process order 17 for user u-42", "Failed to process order {number} for user u-{number}"),
        ("order 6f1c1e9e-0b1a-4c3d-8e2f-aaaaaaaaaaaa is gone", "order {uuid} is gone"),
        ("refused by 10.0.0.7:5432 and [fe80::1]:80", "refused by {ip} and {ip}"),
        ("timed out after 1.5s, 35ms late", "timed out after {number}s, {number}ms late"),
        ("KeyError: 'amount'", "KeyError: '{value}'"),
        ("can't open it, won't try", "can't open it, won't try"),
        ('no such table "orders_2026"', 'no such table "{value}"'),
        ("cannot read /var/log/app.log: denied", "cannot read {path}: denied"),
        ("at 0x7ffe12 in C:\\app\\x.dll", "at {hex} in {path}"),
        ("GET https://shop.example/pay?id=4 failed", "GET {url} failed"),
        ("mail to jane@shop.example bounced", "mail to {email} bounced"),
        ("due 2026-11-22T10:15:30.250Z", "due {time}"),
        ("commit 9fceb02d0ae598e95dc970b74767f19372d61af8 is bad", "commit {id} is bad"),
        ("blk_-1608999687919862906 lost", "blk_{number} lost"),
        ("device 00:1B:44:11:3A:B7 left", "device {mac} left"),
        ("\n  first line 1 \r\n\tat Second.line(2)", "first line {number}"),
        ("\x1b[31mred\x1b[0m\x00 text", "red text"),
        ("x" * 100_000, "{long}"),
        (" ", ""),
        (" ".join(["word"] * 50), " ".join(["word"] * 40)),
    ],
)
def test_what_varies_is_masked(message: str, expected: str) -> None:
    assert template(message) == expected


@given(st.lists(PIECES, max_size=30).map("".join))
@example("aa:bb:cc:dd:ee:ff5")
@example("5'a'b'")
@example("55555::a")
def test_a_template_is_its_own_template(message: str) -> None:
    once = template(message)
    assert template(once) == once
    assert not any("0" <= character <= "9" for character in once)


@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=20, unique=True))
def test_numbers_do_not_split_an_error(numbers: list[int]) -> None:
    messages = pl.Series([f"order {number} of u{number} failed, code={number}" for number in numbers])
    assert templates(messages).n_unique() == 1


def test_a_column_is_masked_as_its_texts_are() -> None:
    messages = pl.Series(["a 1", None, "'x' 2", "", "a 3"])
    assert templates(messages).to_list() == ["a {number}", None, "'{value}' {number}", "", "a {number}"]


def test_endpoints_keep_their_path() -> None:
    paths = pl.Series(["/users/42/orders?page=3", "/pay", None, "/o/6f1c1e9e-0b1a-4c3d-8e2f-aaaaaaaaaaaa"])
    assert endpoints(paths).to_list() == ["/users/{number}/orders", "/pay", None, "/o/{uuid}"]


@pytest.mark.parametrize(
    ("name", "least"), [("Apache", 0.99), ("BGL", 0.84), ("HDFS", 0.99), ("Spark", 0.92), ("Zookeeper", 0.99)]
)
def test_templates_group_as_people_did(name: str, least: float) -> None:
    """Share of messages whose group is exactly the published or made one (OpenSSH's differ by user names)."""
    rows = labels(name)
    found = templates(pl.Series([row["Content"] for row in rows]))
    theirs: dict[str, set[int]] = defaultdict(set)
    ours: dict[str, set[int]] = defaultdict(set)
    for number, (row, text) in enumerate(zip(rows, found, strict=True)):
        theirs[row["EventId"]].add(number)
        ours[text].add(number)
    groups = {frozenset(group) for group in theirs.values()}
    right = sum(len(group) for group in ours.values() if frozenset(group) in groups)
    assert right / len(rows) >= least


@pytest.mark.parametrize(
    ("message", "given", "expected"),
    [
        ("boom", {"error_type": "KeyError"}, "KeyError"),
        ("boom", {"code": "ORA-00600"}, "ORA-00600"),
        ("connect ECONNREFUSED 10.0.0.1:80", {}, "ECONNREFUSED"),
        ("upstream gave up", {"status": 503}, "HTTP 503"),
        ("not found", {"status": 404}, "not found"),
        ("Payment 17 declined: card expired", {}, "Payment {number} declined"),
        ("ERROR: [FATAL] could not connect", {}, "could not connect"),
        ("Failed to process order 5 of user 7 today", {}, "Failed to process order {number} of"),
        ("Database connection failed", {}, "Database connection failed"),
        ("Error", {}, "Error"),
        ("error:", {}, "critical"),
        ("", {}, "critical"),
        (": - :", {}, ": - :"),
    ],
)
def test_every_error_has_a_kind(message: str, given: dict[str, str | int], expected: str) -> None:
    empty = {"error_type": None, "code": None, "status": None}
    row = pl.DataFrame(
        [{"message": message, "level": "critical", **empty, **given}],
        schema={
            "message": pl.String, "level": pl.String, "error_type": pl.String, "code": pl.String, "status": pl.Int64,
        },
    )  # fmt: skip
    assert error_types(row.with_columns(template=templates(row["message"]))).to_list() == [expected]
