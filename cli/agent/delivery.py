"""Several calls under way at a time, acknowledged in order: a checkpoint never passes what is not delivered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from cli.agent.batches import Batch
from cli.agent.sending import Sender


class Pipeline:
    """Sends batches in `window` threads.

    acknowledged: is called, in the thread that feeds, with batches in the order in which they were fed. At most
                  `window` batches are on their way or delivered without having been handed to it.
    """

    def __init__(self, sender: Sender, window: int, acknowledged: Callable[[list[Batch]], None]) -> None:
        self._sender = sender
        self._window = window
        self._acknowledged = acknowledged
        self._pool = ThreadPoolExecutor(window, thread_name_prefix="put")
        self._underway: deque[tuple[Batch, Future[None]]] = deque()

    def feed(self, batch: Batch) -> None:
        """Send a batch; waits while the window is full. Raises what the oldest batch under way failed with."""
        while len(self._underway) >= self._window:
            self._settle(wait=True)
        self._underway.append((batch, self._pool.submit(self._sender.send, batch)))
        self._settle(wait=False)

    def settle(self) -> None:
        """Hand over what is acknowledged by now."""
        self._settle(wait=False)

    def drain(self) -> None:
        """Wait for all that is under way. Raises what the oldest batch failed with."""
        while self._underway:
            self._settle(wait=True)

    def close(self) -> None:
        """End: what is still under way gives up its waiting; what was acknowledged in order is handed over."""
        self._sender.stopping.set()
        self._pool.shutdown(wait=True)
        done: list[Batch] = []
        while self._underway and self._underway[0][1].exception() is None:
            done.append(self._underway.popleft()[0])
        self._underway.clear()
        if done:
            self._acknowledged(done)

    def _settle(self, *, wait: bool) -> None:
        done: list[Batch] = []
        try:
            while self._underway and (wait or self._underway[0][1].done()):
                self._underway[0][1].result()
                done.append(self._underway.popleft()[0])
                wait = False
        finally:
            if done:
                self._acknowledged(done)
