"""Fields of documents by their dotted names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def field_value(document: Mapping[str, Any], name: str) -> Any:
    """A field of a document by its dotted name, whether it is nested or not; ``None`` where there is none."""
    if name in document:
        return document[name]
    head, _, rest = name.partition(".")
    inner = document.get(head)
    return field_value(inner, rest) if rest and isinstance(inner, Mapping) else None
