"""What an update or a deletion of the stack means for the state table and the schedule of ticks.

A deleted stack takes its endpoint with it. Runs, progress, profiles and popularity lists stay: a stack that adopts the
table continues with them, and its first run deploys the first model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from usher.experiments.side_effects import enable_schedule
from usher.store.experiments import close_undecided
from usher.store.router import delete_router, read_router
from usher.store.run_lock import delete_lock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


def restore_schedule(table: Table, events: Any, rule: str) -> dict[str, str]:
    """Enable the rule of ticks when an experiment is open: an update of the rule has disabled it; what was done."""
    router = read_router(table)
    if router is None or not router.experiment_is_open:
        return {}
    enable_schedule(events, rule)
    return {"schedule": f"enabled for {router.experiment_id}"}


def forget_endpoint(table: Table, now: int) -> dict[str, str]:
    """Close the open experiment, delete the router and the run's lock; what was done. Idempotent.

    now: epoch seconds.
    """
    done = {}
    router = read_router(table)
    if router is not None and router.experiment_is_open:
        close_undecided(table, router.experiment_id, "the stack was deleted", now)
        done["experiment"] = f"closed {router.experiment_id}"
    if router is not None:
        delete_router(table)
        done["router"] = f"deleted version {router.version}"
    delete_lock(table)
    return done
