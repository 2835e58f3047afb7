"""Runs Elasticsearch's core with the elasticsearch.yml that compose mounts; what the core does not know is left out."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import yaml

from logsluice.stack import elasticsearch_node, jar_paths
from logsluice.stack.elasticsearch import lay_out

HOME = Path("/usr/share")


def settings(_home: Path, port: int) -> dict[str, str]:
    told = yaml.safe_load((HOME / "elasticsearch/config/elasticsearch.yml").read_text())
    left_out = [name for name in told if name.startswith("xpack.")]
    print(f"not in the core, left out: {', '.join(left_out)}", flush=True)
    kept = {name: value for name, value in told.items() if name not in left_out}
    return {
        **{name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in kept.items()},
        "http.port": str(port),
        "path.home": str(HOME / "elasticsearch"),
    }


if __name__ == "__main__":
    found = re.search(r"-Xmx(\w+)", os.environ["ES_JAVA_OPTS"])
    assert found
    elasticsearch_node.node_settings = settings
    lay_out(HOME, jar_paths("elasticsearch"))
    sys.exit(elasticsearch_node.run(HOME, 9200, found.group(1)))
