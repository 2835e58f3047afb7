"""Runs Elasticsearch's core with the elasticsearch.yml that compose mounts; what the core does not know is left out.

Java's options are those of the image: distribution/src/config/jvm.options of Elasticsearch (read at 0098632: G1, and a
log of collections in up to 32 files of 64 MB), and after them ES_JAVA_OPTS, split at spaces, as its launcher does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from unittest.mock import patch

import yaml

from logsluice.jvm.jars import jar_paths
from logsluice.stack import elasticsearch_node
from logsluice.stack.elasticsearch import java_options, lay_out

HOME = Path("/usr/share")


def settings(_home: Path, port: int) -> dict[str, str]:
    mounted = yaml.safe_load((HOME / "elasticsearch/config/elasticsearch.yml").read_text())
    left_out = [name for name in mounted if name.startswith("xpack.")]
    print(f"not in the core, left out: {', '.join(left_out)}", flush=True)
    kept = {name: value for name, value in mounted.items() if name not in left_out}
    return {
        **{name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in kept.items()},
        "http.port": str(port),
        "path.home": str(HOME / "elasticsearch"),
    }


def options(home: Path, heap: str) -> list[str]:
    log = "-Xlog:gc*,gc+age=trace,safepoint"
    ours = [option for option in java_options(home, heap) if not option.startswith(("-Xm", "-XX:+Use"))]
    theirs = ["-XX:+UseG1GC", f"{log}:file={home}/elasticsearch/logs/gc.log:utctime,pid,tags:filecount=32,filesize=64m"]
    return [*ours, *theirs, *os.environ["ES_JAVA_OPTS"].split()]


if __name__ == "__main__":
    lay_out(HOME, jar_paths("elasticsearch"))
    (HOME / "elasticsearch/logs").mkdir(exist_ok=True)
    with patch.multiple(elasticsearch_node, node_settings=settings, java_options=options):
        sys.exit(elasticsearch_node.run(HOME, 9200, heap=""))
