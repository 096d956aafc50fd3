"""One request to DynamoDB at a time: an item is read, judged and written as one step, which is what AWS promises.

moto's server answers in threads, and its UpdateItem changes the item that others read meanwhile: of two appends to a
list one is lost, or both fail. Every count of Usher rests on conditional writes, so here they are atomic. It costs
nothing: the requests share one interpreter anyway.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from twin.moto_patches.registry import original

_SYMBOL = "moto.dynamodb.responses:DynamoHandler.call_action"
_one_at_a_time = threading.RLock()


def call_action(handler: Any) -> Any:
    """DynamoHandler.call_action, alone."""
    return alone(original(_SYMBOL))(handler)


def alone(action: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """An action of moto's handler that no other request to DynamoDB runs beside."""

    def run(handler: Any) -> Any:
        with _one_at_a_time:
            return action(handler)

    return run
