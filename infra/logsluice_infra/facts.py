"""What values and manifests cannot know before the stack does, put into them where they leave a place for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

IMAGE = "logsluice"
"""Manifests name the workloads' image so, with any tag: the stack's `image` takes its place."""
BUCKET = "logsluice-bucket"
"""Stands for the bucket's name in manifests and values, as in s3a://logsluice-bucket/checkpoints."""
REGION = "logsluice-region"
"""Stands for the bucket's region likewise."""


@dataclass(frozen=True)
class Facts:
    """What a stack knows. None leaves a place as it is."""

    image: str | None = None
    bucket: str | None = None
    region: str | None = None


def fill(value: Any, facts: Facts) -> Any:
    """A copy of a manifest or of values with the facts in it. What is neither text, list nor map stays as it is."""
    if isinstance(value, str):
        for place, fact in ((BUCKET, facts.bucket), (REGION, facts.region)):
            value = value.replace(place, fact) if fact else value
        return value
    if isinstance(value, Mapping):
        return {key: _image(key, fill(item, facts), facts) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill(item, facts) for item in value]
    return value


def _image(key: str, value: Any, facts: Facts) -> Any:
    is_own_image = key == "image" and isinstance(value, str) and value.partition(":")[0].partition("@")[0] == IMAGE
    return facts.image if is_own_image and facts.image else value
