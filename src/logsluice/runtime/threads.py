"""Work on several threads that ends together."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

import structlog

from logsluice.runtime.retry import StoppedError

log = structlog.get_logger(__name__)


def run_together(stop: Event, **work: Callable[[], None]) -> None:
    """Run each function on a thread of its name until all have ended.

    A :class:`StoppedError` ends one in order; any other error sets ``stop``, and the first of them is raised.
    """
    failures: list[BaseException] = []

    def run(name: str, function: Callable[[], None]) -> None:
        try:
            function()
        except StoppedError:
            log.info("stopped while waiting; what was not acknowledged is done again at the next start", work=name)
        except BaseException as error:
            failures.append(error)
            stop.set()

    threads = [Thread(target=run, args=(name, function), name=name) for name, function in work.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
