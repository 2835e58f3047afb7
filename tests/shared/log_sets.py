"""Logs of six systems, and what people say is in each line.

They are Loghub's, of 2,000 lines each, where the shared folder has them; else our own in ``logs/``, of 60 lines each,
made up in the forms of the same systems.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

from tests.shared.shared_folder import LOGHUB

SYSTEMS = ("Apache", "BGL", "HDFS", "OpenSSH", "Spark", "Zookeeper")
REAL = LOGHUB.is_dir()
OWN = Path(__file__).parent / "logs"
LINES_OF_EACH = 2_000 if REAL else 60
"""How many lines each log has."""


def log_file(name: str) -> Path:
    """The log of a system."""
    return LOGHUB / f"{name}_2k.log" if REAL else OWN / f"{name}.log"


@cache
def labels(name: str) -> tuple[dict[str, str], ...]:
    """What people say of each line of a system's log, by the names of its columns."""
    path = LOGHUB / f"{name}_2k.log_structured.csv" if REAL else OWN / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))
