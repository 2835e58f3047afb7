"""What reads the YAML of charts and definitions."""

from __future__ import annotations

import yaml


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML reads a bare ``=`` as YAML 1.0 did; Prometheus' definitions have one in a list of operators."""


Loader.add_constructor("tag:yaml.org,2002:value", yaml.SafeLoader.construct_yaml_str)
