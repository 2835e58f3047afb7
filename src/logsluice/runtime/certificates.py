"""A watch on certificate files: ends the process in order when one that it trusts was replaced.

The clients of Kafka (kafka-python, librdkafka, Java) and of Elasticsearch read the file of an authority when they are
made, and never again. A process that goes on with an authority that is no more is cut off sooner or later. One that
ends is started again, by Kubernetes, Docker or whoever runs it, and reads the new one.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from threading import Thread
from typing import Final

import structlog

from logsluice.settings import Settings

_SECONDS: Final = 10.0

log = structlog.get_logger(__name__)


def stop_on_certificate_renewal(settings: Settings) -> None:
    """Send this process SIGTERM when a file of trusted certificates has other contents than now.

    Whatever ends on SIGTERM then ends as it always does: with its work done. Looks every ten seconds, from a thread of
    its own; a file that is not there for a moment is being replaced. Nothing happens where no file is configured.
    """
    files = [path for path in (settings.kafka.ssl_cafile, settings.elasticsearch.ca_certs) if path is not None]
    if files:
        Thread(target=_watch, args=(_read(files),), name="certificates", daemon=True).start()


def _watch(digests: dict[Path, bytes]) -> None:
    while True:
        time.sleep(_SECONDS)
        now = _read(digests)
        changed = [str(path) for path, digest in digests.items() if now.get(path, digest) != digest]
        if changed:
            log.warning("a certificate was renewed: ending, to be started again with the new one", files=changed)
            os.kill(os.getpid(), signal.SIGTERM)
            return


def _read(files: Iterable[Path]) -> dict[Path, bytes]:
    """A digest of each file that is there."""
    found = {}
    for path in files:
        try:
            found[path] = sha256(path.read_bytes()).digest()
        except OSError:
            continue
    return found
