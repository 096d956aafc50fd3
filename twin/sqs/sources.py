"""The pollers of all event source mappings: one for each that is enabled, followed live.

`EventSources(context).start()` begins, `stop()` ends; start it after the server, stop it before the Lambda pool.
"""

from __future__ import annotations

import threading
from typing import Any, Self

from twin.context import Context
from twin.sqs import mappings
from twin.sqs.poller import Poller

_LOOK_SECONDS = 0.5  # what is new is told at once; this look finds what has gone, on AWS it takes longer
_END_SECONDS = 2.0


class EventSources:
    """A service of the twin."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._pollers: dict[str, Poller] = {}
        self._look = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="event sources", daemon=True)

    def start(self) -> Self:
        """Poll for every mapping there is and will be."""
        mappings.changed.append(self._look.set)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Take no more messages."""
        self._stopping = True
        mappings.changed.remove(self._look.set)
        self._look.set()
        self._thread.join(_END_SECONDS)
        for poller in self._pollers.values():
            poller.stop(abandon=True)
        for poller in self._pollers.values():
            poller.join(_END_SECONDS)

    def _run(self) -> None:
        while not self._stopping:
            self._look.clear()
            self._reconcile()
            self._look.wait(_LOOK_SECONDS)

    def _reconcile(self) -> None:
        wanted = {mapping.uuid: mapping for mapping in _enabled()}
        for uuid in self._pollers.keys() - wanted.keys():
            self._pollers.pop(uuid).stop()
        for uuid in wanted.keys() - self._pollers.keys():
            self._pollers[uuid] = Poller(wanted[uuid], self._context)
            self._pollers[uuid].start()


def _enabled() -> list[Any]:
    from moto.awslambda.models import lambda_backends  # noqa: PLC0415 - moto is heavy

    return [
        mapping
        for account in list(lambda_backends.values())
        for backend in list(account.values())
        for mapping in list(backend._event_source_mappings.values())
        if mapping.enabled
    ]
