"""How many jobs compute at once: the others wait for an instance, as they do on AWS when capacity is short."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

#: Jobs that run at once on this machine; two at least, so that parallel trials are parallel everywhere.
INSTANCES = max(2, os.cpu_count() or 1)

_free = threading.Semaphore(INSTANCES)
_POLL_SECONDS = 0.05


@contextlib.contextmanager
def instance(stop: threading.Event) -> Iterator[bool]:
    """Hold one instance while the job computes; yields False when the job was stopped before it got one."""
    got = False
    while not got and not stop.is_set():
        got = _free.acquire(timeout=_POLL_SECONDS)
    try:
        yield got and not stop.is_set()
    finally:
        if got:
            _free.release()
