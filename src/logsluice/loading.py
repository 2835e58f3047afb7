"""Load on the HTTP API, made by locust: posts at a set rate, and how long their answers took.

locust puts gevent in place of Python's threads and sockets when it is imported, so this module is imported only by the
command that makes load, before anything of it runs.
"""

from __future__ import annotations

import itertools
from typing import Final

import gevent
import orjson
from locust import FastHttpUser, constant_throughput, task
from locust.contrib.fasthttp import FastResponse
from locust.env import Environment

from logsluice.load_plan import QUANTILES, Load, Outcome, events

_SECONDS_OF_A_REQUEST: Final = 30.0


def put_load(load: Load) -> Outcome:
    """Post for as long as is asked, or until Ctrl-C."""
    taken = 0

    class Client(FastHttpUser):
        """One client."""

        host = load.url
        wait_time = constant_throughput(load.rate / load.batch / load.users)
        network_timeout = connection_timeout = _SECONDS_OF_A_REQUEST
        default_headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {load.key}"} if load.key else {}
        )

        def on_start(self) -> None:
            self.made = events(load, seed=id(self))

        @task
        def post(self) -> None:
            nonlocal taken
            if load.batch == 1:
                answer = self._send("/logs", next(self.made))
                taken += answer.ok
                return
            answer = self._send("/logs/batch", list(itertools.islice(self.made, load.batch)))
            taken += answer.json()["stored"] if answer.ok else 0

        def _send(self, path: str, content: object) -> FastResponse:
            return self.client.post(path, data=orjson.dumps(content).decode(), headers=self.default_headers)

    environment = Environment(user_classes=[Client], catch_exceptions=False)
    runner = environment.create_local_runner()
    runner.start(load.users, spawn_rate=load.users)
    try:
        gevent.sleep(load.seconds)
    except KeyboardInterrupt:
        pass
    finally:
        runner.quit()
    total = environment.stats.total
    reasons = sorted(
        ((str(entry.error), entry.occurrences) for entry in environment.stats.errors.values()),
        key=lambda entry: -entry[1],
    )
    return Outcome(
        total.num_requests,
        total.num_failures,
        taken,
        max(1e-9, (total.last_request_timestamp or total.start_time) - total.start_time),
        tuple((total.get_response_time_percentile(share) or 0) / 1_000 for share in QUANTILES),
        total.max_response_time / 1_000,
        reasons,
    )
