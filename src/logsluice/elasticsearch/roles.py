"""Elasticsearch's users: what each part of the platform has to do there, and nothing else.

Docker compose makes them through Elasticsearch's API (:mod:`logsluice.provision.compose`); on Kubernetes the values of
ECK's stack say the same. Privileges: https://www.elastic.co/docs/reference/elasticsearch/security-privileges
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypedDict

from logsluice.settings import Settings

_MONITOR: Final = ["monitor"]
"""Whether the cluster is well, and which index templates there are: who writes waits for these."""

_ADD: Final = ["auto_configure", "create_doc"]
"""Adds documents and the day's index, each once; neither reads nor changes any."""

_WRITE: Final = ["auto_configure", "index"]
"""Adds documents and the day's index, and replaces documents; neither reads nor deletes any."""


class IndexPrivileges(TypedDict):
    """What may be done with some indices, as Elasticsearch's roles have it."""

    names: list[str]
    privileges: list[str]


class Role(TypedDict):
    """A role of Elasticsearch."""

    cluster: list[str]
    indices: list[IndexPrivileges]


def role_name(part: str) -> str:
    """What a part's role is called in Elasticsearch."""
    return f"logsluice-{part}"


def roles(settings: Settings) -> dict[str, Role]:
    """The role of each part, by the part's name, which is its user's name too."""
    logs, metrics, results = settings.logs_index, settings.metrics_index, settings.results_index
    windows, alerts, dead_letters = settings.windows_index, settings.alerts_index, settings.dead_letters_index
    everything = (logs, metrics, results, windows, alerts, dead_letters)
    return {
        "logstash": _role(_days(_ADD, logs, metrics, dead_letters)),
        "regex-job": _role(_days(_WRITE, results)),
        "regex-batch": _role(
            _days([*_WRITE, "read"], results), _days(["read", "view_index_metadata", "maintenance"], logs, metrics)
        ),
        "windows-job": _role(_days(_WRITE, windows)),
        "alerts-job": _role(
            _days(_WRITE, alerts), _aliases(["read"], results, windows), _aliases(["read", "maintenance"], alerts)
        ),
        "app-service": _reader(*everything),
        "api": _role(
            # External processors add facts to an event's document; the live tail asks how far an index is written.
            _days(_WRITE, results),
            _aliases(["read", "monitor"], results),
            _aliases(["read"], logs, metrics),
        ),
        "dashboard": _reader(results, windows, alerts),
        "elasticsearch-exporter": _role(
            {"names": ["*"], "privileges": ["monitor", "view_index_metadata"]},
            # How snapshots went; the action has no privilege of its own.
            cluster=["read_slm", "cluster:admin/slm/stats"],
        ),
    }


def _role(*indices: IndexPrivileges, cluster: Iterable[str] = ()) -> Role:
    return {"cluster": [*_MONITOR, *cluster], "indices": list(indices)}


def _reader(*aliases: str) -> Role:
    return {"cluster": [], "indices": [_aliases(["read"], *aliases)]}


def _days(privileges: Iterable[str], *aliases: str) -> IndexPrivileges:
    """For the dated indices behind aliases."""
    return {"names": [f"{alias}-*" for alias in aliases], "privileges": list(privileges)}


def _aliases(privileges: Iterable[str], *aliases: str) -> IndexPrivileges:
    """For aliases and what is behind them: what may be done with an index may not be done through its alias by that."""
    return {"names": [f"{alias}*" for alias in aliases], "privileges": list(privileges)}
