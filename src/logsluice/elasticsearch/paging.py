"""All that a search or a composite aggregation finds, page after page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Search = Callable[..., Any]
"""Does one search, such as ``Elasticsearch.search``."""


def hit_pages(search: Search, *, size: int, **request: Any) -> Iterator[list[dict[str, Any]]]:
    """The hits of a search, whose ``sort`` must order any two of them; no page is empty."""
    after: dict[str, Any] = {}
    while True:
        hits = search(size=size, track_total_hits=False, **after, **request)["hits"]["hits"]
        if hits:
            yield hits
        if len(hits) < size:
            return
        after = {"search_after": hits[-1]["sort"]}


def group_pages(
    search: Search, sources: Sequence[Mapping[str, Any]], *, size: int, aggs: Mapping[str, Any], **request: Any
) -> Iterator[list[dict[str, Any]]]:
    """The buckets of a composite aggregation over ``sources``, each with ``aggs`` in it; no page is empty."""
    after: dict[str, Any] = {}
    while True:
        composite = {"size": size, "sources": sources, **after}
        answer = search(size=0, aggs={"groups": {"composite": composite, "aggs": aggs}}, **request)
        # An alias without an index has no answer to it.
        groups = (answer.get("aggregations") or {}).get("groups", {"buckets": []})
        if groups["buckets"]:
            yield groups["buckets"]
        if len(groups["buckets"]) < size:
            return
        after = {"after": groups["after_key"]}
