"""For the image: fetch sets of pinned jars into its cache, and put Spark's connectors among Spark's own jars.

Of the schema registry the unpacked files stay alone.
"""

from __future__ import annotations

import sys

from logsluice.jvm.jars import jar_paths
from logsluice.jvm.java import spark_home
from logsluice.stack.schema_registry import unpacked


def main() -> None:
    """Fetch the named sets; link those for Spark into its folder of jars."""
    folder = spark_home() / "jars"
    for name in sys.argv[1:]:
        jars = jar_paths(name)
        if name == "schema-registry":
            unpacked()
            jars[0].unlink()
        if name.startswith("spark-"):
            for jar in jars:
                (folder / jar.name).symlink_to(jar)


if __name__ == "__main__":
    main()
