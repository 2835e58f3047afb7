"""The operators' definitions of custom resources, where a machine has them."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import yaml
from shared_folder import DEFINITIONS


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML reads a bare ``=`` as YAML 1.0 did; Prometheus' definitions have one in a list of operators."""


_Loader.add_constructor("tag:yaml.org,2002:value", yaml.SafeLoader.construct_yaml_str)


@cache
def definitions(kinds: frozenset[str]) -> tuple[dict[str, Any], ...]:
    """The operators' definitions of custom resources of some kinds; skips the test where none is here."""
    texts = [file.read_text() for file in sorted(DEFINITIONS.glob("*/*.yaml"))]
    if not texts:
        pytest.skip(f"the operators' definitions are not in {DEFINITIONS}")
    wanted = [text for text in texts if any(f"\n    kind: {kind}\n" in text for kind in kinds)]
    return tuple(yaml.load(text, _Loader) for text in wanted)
