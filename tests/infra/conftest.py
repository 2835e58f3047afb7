"""The program run once for each stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from tests.infra.graph import DIGEST, Graph, build

PROD_DIGEST = DIGEST.replace("logsluice-dev", "logsluice-prod")


@pytest.fixture(scope="session")
def dev() -> Graph:
    return build("dev", image=DIGEST)


@pytest.fixture(scope="session")
def prod() -> Graph:
    return build("prod", image=PROD_DIGEST)


@pytest.fixture(scope="session")
def local() -> Graph:
    return build("local", image="logsluice:0.1.0")


@pytest.fixture(scope="session", params=["dev", "prod"])
def aws_stack(request: pytest.FixtureRequest) -> Graph:
    """Each stack on AWS."""
    found: Graph = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session", params=["dev", "prod", "local"])
def any_stack(request: pytest.FixtureRequest) -> Graph:
    found: Graph = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def refused() -> Callable[..., str]:
    """Run a stack with mistakes in its configuration; gives the one line that is said."""

    def run(stack: str = "dev", zones: int = 4, **changes: Any) -> str:
        with pytest.raises(pulumi.RunError) as caught:
            build(stack, zones, **changes)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return run
