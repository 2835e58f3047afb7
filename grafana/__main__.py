"""``python -m grafana``: write the dashboards, and the rules as compose's Prometheus reads them."""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.elasticsearch import elasticsearch
from grafana.kafka import kafka
from grafana.overview import overview
from grafana.rules import rule_files
from grafana.spark import spark

ROOT = Path(__file__).parents[1]


def files() -> dict[str, str]:
    """Every file that is written, by its path below the repository."""
    dashboards = {"overview": overview, "kafka": kafka, "elasticsearch": elasticsearch, "spark": spark}
    written = {
        f"k8s/components/monitoring/dashboards/{name}.json": json.dumps(
            make(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False
        )
        + "\n"
        for name, make in dashboards.items()
    }
    rules = rule_files(ROOT / "k8s" / "components" / "monitoring" / "rules")
    return written | {f"config/prometheus/rules/{name}": text for name, text in rules.items()}


def main() -> None:
    """Write them all."""
    for name, text in files().items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(name)


if __name__ == "__main__":
    main()
