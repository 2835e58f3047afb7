"""For the image: fetch sets of pinned jars, and put them among Spark's own."""

from __future__ import annotations

import sys

from logsluice.kubernetes.entrypoint import spark_home
from logsluice.stack import jar_paths


def main() -> None:
    """Link every jar of the named sets into Spark's folder of jars."""
    folder = spark_home() / "jars"
    for name in sys.argv[1:]:
        for jar in jar_paths(name):
            (folder / jar.name).symlink_to(jar)


if __name__ == "__main__":
    main()
