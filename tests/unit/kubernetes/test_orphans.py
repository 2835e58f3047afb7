"""Which executors have no driver any more."""

from __future__ import annotations

from typing import Any

from logsluice.kubernetes.orphans import orphans


def _pod(name: str, uid: str, role: str, *owners: tuple[str, str]) -> dict[str, Any]:
    references = [{"kind": kind, "uid": owner} for kind, owner in owners]
    return {"metadata": {"name": name, "uid": uid, "labels": {"spark-role": role}, "ownerReferences": references}}


def test_an_executor_is_an_orphan_when_its_driver_s_pod_is_gone() -> None:
    application = ("SparkApplication", "a")
    pods = [
        _pod("driver", "d2", "driver", application),
        _pod("of-this-driver", "e1", "executor", application, ("Pod", "d2")),
        _pod("of-the-last-driver", "e2", "executor", application, ("Pod", "d1")),
        _pod("of-a-driver-that-was-taken-out", "e3", "executor", application),
        _pod("of-a-driver-that-is-no-pod", "e4", "executor"),
        {"metadata": {"name": "no-labels", "uid": "x"}},
    ]
    assert orphans(pods) == ["of-the-last-driver", "of-a-driver-that-was-taken-out"]
    assert orphans([]) == []
