"""Posts to the API as it is told, a line of JSON a run; the answer says how it went."""

from __future__ import annotations

import json
import sys
from itertools import islice

from logsluice.demo.load import run_load
from logsluice.demo.load_plan import Load, load_bodies

_BODIES = 200


def main() -> None:
    (url,) = sys.argv[1:]
    for line in sys.stdin:
        request = json.loads(line)
        load = Load(url, None, request["rate"], request["seconds"], request["size"], request["batch"], errors=0.05)
        outcome = run_load(load, list(islice(load_bodies(load, seed=7), _BODIES)))
        print(json.dumps(outcome._asdict()), flush=True)


if __name__ == "__main__":
    main()
