"""What the state table says of an endpoint that is removed with its stack, so that a new stack starts without it.

Runs, progress, profiles and popularity lists stay: a stack that adopts the table continues with them. The first run
there deploys its model as the first of a new stack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from usher.store.experiments import close_undecided
from usher.store.router import delete_router, read_router
from usher.store.run_lock import delete_lock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


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
