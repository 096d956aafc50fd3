"""The rule that starts a tick each minute: enabled when an experiment opens, disabled when nothing is left to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from usher.store.router import read_router

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


def enable(events: Any, rule: str) -> None:
    events.enable_rule(Name=rule)


def disable(events: Any, rule: str, table: Table) -> None:
    """Disable it, unless an experiment opens meanwhile.

    Who opens writes the router and then enables; this disables and then reads the router: whichever way the four run
    into each other, an open experiment has its ticks.
    """
    events.disable_rule(Name=rule)
    router = read_router(table)
    if router is not None and router.experiment_is_open:
        enable(events, rule)
