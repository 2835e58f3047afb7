"""What a URL is made of: its path, its host and its query, where an event has it as a whole."""

from __future__ import annotations

import re
from typing import Final

import polars as pl

WHOLE: Final = "url.original"
PATH: Final = "url.path"
_PARTS: Final = (PATH, "url.domain", "url.query")

_URL: Final = re.compile(
    r"(?:[A-Za-z][0-9A-Za-z+.-]{1,19}://(?:[^/?#@\s]*@)?([^/?#:@\s\[\]]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?)?"
    r"(/[^?#\s]*)(?:\?([^#\s]*))?(?:#\S*)?"
)


def url_parts(url: str) -> dict[str, str]:
    """The path, the host and the query of a URL (RFC 3986), as far as it has them; none of what is no URL."""
    match = _URL.fullmatch(url)
    if match is None:
        return {}
    domain, path, query = match.groups()
    return {field: part for field, part in zip(_PARTS, (path, domain, query), strict=True) if part}


def put_url_parts(columns: dict[str, pl.Series]) -> None:
    """Fill in what :func:`url_parts` finds, where an event has a URL and no path."""
    if WHOLE not in columns:
        return
    whole = columns[WHOLE]
    lacking = whole.is_not_null()
    if PATH in columns:
        lacking &= columns[PATH].is_null()
    places = lacking.arg_true()
    parts = [url_parts(url) for url in whole.gather(places)]
    for field in _PARTS:
        found = pl.Series([part.get(field) for part in parts], dtype=pl.String)
        if found.null_count() < len(found):
            before = columns.get(field, pl.repeat(None, len(whole), dtype=pl.String, eager=True))
            kept = before.gather(places)
            columns[field] = before.clone().scatter(places, kept.zip_with(kept.is_not_null(), found))
