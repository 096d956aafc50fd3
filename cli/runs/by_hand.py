"""A run that somebody starts, whatever the rule of when one is due says."""

from __future__ import annotations

import json
import time
from typing import Any

from cli.errors import CommandError
from cli.runs import executions
from cli.target import Target

#: So often may a run be started by hand on the same data.
ATTEMPTS = 99


def start(target: Target) -> str:
    """Start a run on the newest data, and give its id; CommandError while a run or an experiment is open."""
    _nothing_is_open(target)
    run_id, snapshots, rows = next_run(target)
    given = json.dumps({"run_id": run_id, "snapshots": snapshots, "rows": rows})
    workflow = executions.workflow_arn(target)
    target.client("stepfunctions").start_execution(stateMachineArn=workflow, name=run_id, input=given)
    return run_id


def next_run(target: Target) -> tuple[str, dict[str, str], int]:
    """What a run on the newest data starts with: its id, the snapshots by data set, the rows that are new."""
    from usher.store.run_progress import COUNTED_DATASETS, RunProgress  # noqa: PLC0415
    from usher.store.runs import Runs  # noqa: PLC0415 - only when a command runs

    table = _state_table(target)
    progress = RunProgress.read(table)
    if not progress.snapshots.keys() & set(COUNTED_DATASETS):
        raise CommandError(
            "the lake has no ratings and no events yet: upload some first (`usher upload ratings.csv` or `events.csv`)"
        )
    run_id = Runs(table).next_id(progress.snapshots, ATTEMPTS)
    if run_id is None:
        raise CommandError(f"{ATTEMPTS} runs on the same data: new data come first")
    return (
        run_id,
        {name: str(snapshot) for name, snapshot in sorted(progress.snapshots.items())},
        progress.rows_since_run,
    )


def _nothing_is_open(target: Target) -> None:
    """What would refuse the run at once, said before it starts and fails."""
    from usher.store.router import read_router  # noqa: PLC0415
    from usher.store.run_lock import RunLock  # noqa: PLC0415 - only when a command runs

    table = _state_table(target)
    holder = RunLock(table).holder(int(time.time()))
    if holder is not None:
        raise CommandError(f"run {holder.run_id} is in progress: `usher run {holder.run_id}` shows how far it is")
    router = read_router(table)
    if router is not None and router.experiment_is_open:
        raise CommandError(
            f"experiment {router.experiment_id} is open: no run starts before it ends (`usher experiment`)"
        )


def _state_table(target: Target) -> Any:
    dynamodb: Any = target.session.resource("dynamodb", endpoint_url=target.endpoint, config=target.config)
    return dynamodb.Table(target.resources.state_table)
