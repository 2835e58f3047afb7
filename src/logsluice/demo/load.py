"""Load on the HTTP API, made by locust: posts at a set rate, and how long their answers took.

locust puts gevent in place of Python's threads and sockets when it is imported, so this module is imported only by the
command that makes load, before anything of it runs.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Sequence
from typing import Final

import gevent
from locust import FastHttpUser, task
from locust.env import Environment

from logsluice.demo.load_plan import QUANTILES, Load, Outcome, load_bodies

_SECONDS_OF_A_REQUEST: Final = 30.0


def run_load(load: Load, bodies: Sequence[str] | None = None) -> Outcome:
    """Post until the time is over, or Ctrl-C: ``bodies`` in turn, where making them would disturb the measure."""
    accepted = 0
    period = load.users * load.batch / load.rate
    payloads = itertools.cycle(bodies) if bodies else load_bodies(load, seed=time.time_ns())

    class Client(FastHttpUser):
        """One client."""

        host = load.url
        network_timeout = connection_timeout = _SECONDS_OF_A_REQUEST
        default_headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {load.key}"} if load.key else {}
        )

        def on_start(self) -> None:
            # Clients that all begin at once would post in step from then on.
            self.due = time.monotonic() - random.uniform(0, period)
            gevent.sleep(self.wait_time())

        def wait_time(self) -> float:
            """Until the next post is due. By the clock, and not by the last post as locust's own waits are: those that
            a busy moment held up together would post in step from then on.
            """
            self.due += period
            return max(0.0, self.due - time.monotonic())

        @task
        def post(self) -> None:
            nonlocal accepted
            path = "/logs" if load.batch == 1 else "/logs/batch"
            answer = self.client.post(path, data=next(payloads), headers=self.default_headers)
            if answer.ok:
                accepted += 1 if load.batch == 1 else answer.json()["stored"]

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
        accepted,
        max(1e-9, (total.last_request_timestamp or total.start_time) - total.start_time),
        tuple((total.get_response_time_percentile(share) or 0) / 1_000 for share in QUANTILES),
        total.max_response_time / 1_000,
        reasons,
    )
