"""The backup of the indices: a repository in S3, and a policy by which Elasticsearch itself takes snapshots every night
and removes old ones (snapshot lifecycle management).

https://www.elastic.co/docs/deploy-manage/tools/snapshot-and-restore/create-snapshots
"""

from __future__ import annotations

from typing import Any, Final

from elasticsearch import ApiError, Elasticsearch

from logsluice.elasticsearch.client import common_modules, describe_error
from logsluice.errors import LogsluiceError
from logsluice.settings import Settings

REPOSITORY: Final = "logsluice"
BASE_PATH: Final = "elasticsearch-snapshots"
"""The part of the bucket that Elasticsearch may write to (infra/logsluice_infra/identity.py)."""
MODULES: Final = frozenset({"repository-s3", "x-pack-slm"})
"""What a server needs for it; full Elasticsearch has both, its core neither."""
_NIGHTLY: Final = "0 30 1 * * ?"
_FEWEST: Final = 3


def repository(bucket: str) -> dict[str, Any]:
    """The repository; credentials and region are the client's of that name in elasticsearch.yml."""
    return {"type": "s3", "settings": {"bucket": bucket, "base_path": BASE_PATH, "client": "default"}}


def policy(env: str, days: int) -> dict[str, Any]:
    """When an environment's indices and the cluster's state (templates, Kibana's objects) are saved, and how long.

    The last ones stay longer when there are no newer.
    """
    return {
        "name": f"<{env}-{{now/d}}>",
        "schedule": _NIGHTLY,
        "repository": REPOSITORY,
        "config": {"indices": [f"{env}-*"], "include_global_state": True},
        "retention": {"expire_after": f"{days}d", "min_count": _FEWEST},
    }


def set_up(client: Elasticsearch, settings: Settings) -> list[str]:
    """Register repository and policy where they are not as they should be; what was made or cannot be had, a line each.

    Elasticsearch writes to the bucket before it takes the repository, from every node.

    Raises:
        LogsluiceError: The nodes may not write to the bucket, or it is not there.
        ApiError: The server refuses.
    """
    server = settings.elasticsearch
    if server.snapshot_bucket is None:
        return []
    if missing := sorted(MODULES - common_modules(client)):
        return [f"this server takes no snapshots to S3 (it has no {' and no '.join(missing)}): there is no backup"]
    changes = []
    repository_body = repository(server.snapshot_bucket)
    if _found(client, f"/_snapshot/{REPOSITORY}").get(REPOSITORY) != repository_body:
        _register(client, repository_body)
        changes.append(f"snapshot repository {REPOSITORY}: s3://{server.snapshot_bucket}/{BASE_PATH}")
    name = f"{settings.env}-logsluice"
    plan = policy(settings.env, server.snapshot_days)
    if _found(client, f"/_slm/policy/{name}").get(name, {}).get("policy") != plan:
        client.slm.put_lifecycle(policy_id=name, body=plan)
        changes.append(f"snapshot policy {name}: every night at 01:30 UTC, kept for {server.snapshot_days} days")
    return changes


def _register(client: Elasticsearch, repository_body: dict[str, Any]) -> None:
    try:
        client.snapshot.create_repository(name=REPOSITORY, repository=repository_body)
    except ApiError as error:
        # Answered like a server that is busy for a while; this one stays.
        if "repository" in error.error:
            where = f"s3://{repository_body['settings']['bucket']}/{BASE_PATH}"
            raise LogsluiceError(
                "Elasticsearch cannot keep snapshots in the bucket",
                where=where,
                why=describe_error(error),
                hint="the pods' account `elasticsearch` needs a role that may list the bucket, read and write there",
            ) from None
        raise


def _found(client: Elasticsearch, path: str) -> dict[str, Any]:
    answer = client.options(ignore_status=404).perform_request("GET", path, headers={"accept": "application/json"})
    found: dict[str, Any] = answer.body
    return found
