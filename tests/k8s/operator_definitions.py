"""The operators' definitions of custom resources: the shared folder's, or those in the charts where it has none."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import pytest
import yaml

from tests.k8s.helm_charts import VARIABLE, rendered
from tests.k8s.helm_values import RELEASES
from tests.k8s.k8s_tools import Loader
from tests.shared.shared_folder import DEFINITIONS


@cache
def _texts() -> tuple[str, ...]:
    if texts := [file.read_text() for file in sorted(DEFINITIONS.glob("*/*.yaml"))]:
        return tuple(texts)
    if not os.environ.get(VARIABLE):
        pytest.skip(f"the operators' definitions are not in {DEFINITIONS}, and {VARIABLE} names no folder of charts")
    objects = (item for release in RELEASES for item in rendered(release["name"], release["stacks"][0]))
    return tuple(yaml.safe_dump(item) for item in objects if item["kind"] == "CustomResourceDefinition")


def all_definitions() -> str:
    """All of them as one text; skips the test where none is here."""
    return "\n---\n".join(_texts())


@cache
def definitions(kinds: frozenset[str]) -> tuple[dict[str, Any], ...]:
    """Those of some kinds; skips the test where none is here."""
    wanted = [text for text in _texts() if any(f"\n    kind: {kind}\n" in text for kind in kinds)]
    return tuple(yaml.load(text, Loader) for text in wanted)
