"""Ctrl-C in commands that must clean up: SIGTERM counts as one, and a second one does not stop the clean-up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def not_interrupted() -> Iterator[None]:
    """Ignore Ctrl-C, SIGTERM and SIGHUP, for a clean-up."""
    saved = {number: signal.signal(number, signal.SIG_IGN) for number in _ENDS}
    try:
        yield
    finally:
        _restore(saved)


@contextmanager
def terminated_is_interrupted() -> Iterator[None]:
    """Treat SIGTERM and a closed terminal like Ctrl-C, so that the clean-up runs.

    SIGINT is set, too: a shell starts a command in the background with SIGINT ignored.
    """

    def interrupt(number: int, frame: Any) -> None:  # noqa: ARG001 - a signal handler's signature
        raise KeyboardInterrupt

    saved = {number: signal.signal(number, interrupt) for number in _ENDS}
    try:
        yield
    finally:
        _restore(saved)


_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _restore(saved: dict[signal.Signals, Any]) -> None:
    for number, handler in saved.items():
        signal.signal(number, handler)
