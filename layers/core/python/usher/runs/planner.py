"""PrepareRun: hold the lock, take the rows, say what the run will do and cost, and write it down before it starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from usher.errors import InputError, RouterMoved
from usher.runs import deployment, plan
from usher.runs.snapshots import row_count
from usher.runs.training_rows import Rows
from usher.runs.trigger import Head, take_rows
from usher.schema import s3_paths
from usher.schema.settings import Settings
from usher.store.router import Router, read_router
from usher.store.run_lock import RunLock
from usher.store.run_progress import COUNTED_DATASETS
from usher.store.runs import Runs

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What starts a run. snapshots: by data set, empty for the newest. rows: new rows that this run takes."""

    run_id: str
    execution_arn: str
    snapshots: Mapping[str, int]
    rows: int

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> RunRequest:
        """From PrepareRun's input; InputError naming what is wrong."""
        try:
            return cls(
                str(event["run_id"]),
                str(event["execution_arn"]),
                {str(name): int(snapshot) for name, snapshot in event["snapshots"].items()},
                int(event["rows"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"no input of a run ({type(error).__name__}: {error}): start runs with `usher runs start`"
            ) from error


@dataclass(frozen=True, slots=True)
class Champion:
    """The model that serves, as the plan needs it. record: its run's META."""

    run_id: str
    record: Mapping[str, Any]

    @classmethod
    def find(cls, router: Router | None, runs: Runs) -> Champion | None:
        if router is None:
            return None
        run_id = router.models[router.champion]
        return cls(run_id, runs.find(run_id) or {})

    @property
    def winner(self) -> plan.Winner | None:
        found = self.record.get("hyperparameters")
        return plan.Winner(int(self.record.get("tuned_rows", 0)), found) if found else None


class Planner:
    """Plans runs for one deployment."""

    def __init__(self, table: Table, s3: S3Client, glue: Any, settings: Settings) -> None:
        self._table = table
        self._s3 = s3
        self._glue = glue
        self._settings = settings
        self._runs = Runs(table)

    def prepare(self, request: RunRequest, now: int) -> dict[str, Any]:
        """The workflow's `run`: references and settings; else RunInProgress, RouterMoved, OverBudget, …"""
        RunLock(self._table).take(request.run_id, now, request.execution_arn)
        self._runs.record(
            request.run_id,
            status="running",
            execution_arn=request.execution_arn,
            started_at=now,
            snapshots={name: str(snapshot) for name, snapshot in request.snapshots.items()},
        )
        self._check_variant(request.run_id)
        take_rows(self._table, request.run_id, request.rows)
        return self._plan(request)

    def _check_variant(self, run_id: str) -> None:
        """RouterMoved while an experiment is open: a new model would take the place of its challenger."""
        router = read_router(self._table)
        if router is not None and router.experiment_is_open:
            raise RouterMoved(
                f"experiment {router.experiment_id} is open: run {run_id} would have no variant for its model; "
                "start it when the experiment is closed, or end that with `usher rollback`"
            )

    def _plan(self, request: RunRequest) -> dict[str, Any]:
        settings = self._settings
        router = read_router(self._table)
        champion = Champion.find(router, self._runs)
        winner = champion.winner if champion else None
        rows = self._rows(request.snapshots)
        machines = plan.Machines(
            settings.processing_instance_type, settings.training_instance_type, settings.tuning_trials
        )
        tuned = [one for one in rows.algorithms() if plan.is_tuned(one, rows.total, winner)]
        expected = plan.estimate(rows, tuned, machines)
        tuned_rows = rows.total if tuned or winner is None else winner.rows
        words = "; ".join([expected.in_words(), *(f"without {name}: {why}" for name, why in rows.left_out().items())])
        self._runs.record(request.run_id, cost_usd=expected.usd, plan=words, rows=rows.total, tuned_rows=tuned_rows)
        plan.check_budget(request.run_id, expected, settings.budget_usd)
        run = self._run(request, router, champion, machines)
        run["algorithms"] = plan.jobs(rows, winner)
        self._write_plan(request, champion, rows, expected)
        return run

    def _rows(self, snapshots: Mapping[str, int]) -> Rows:
        """From the snapshots' summaries: a count, not a scan."""
        database = self._settings.database
        counted = {
            name: row_count(self._glue, self._s3, database, name, snapshots[name]) if name in snapshots else 0
            for name in COUNTED_DATASETS
        }
        return Rows(**counted)

    def _run(
        self, request: RunRequest, router: Router | None, champion: Champion | None, machines: plan.Machines
    ) -> dict[str, Any]:
        settings = self._settings
        bundle = f"s3://{settings.lake_bucket}/{s3_paths.run_prefix(champion.run_id)}bundle/" if champion else ""
        return {
            "run_id": request.run_id,
            "prefix": f"s3://{settings.lake_bucket}/{s3_paths.run_prefix(request.run_id).rstrip('/')}",
            "machines": {
                "processing": machines.processing,
                "training": machines.training,
                "hosting": settings.hosting_instance_type,
            },
            "trials": machines.trials,
            "parallel": min(machines.parallel, machines.trials),
            "champion_bundle": bundle,
            "serving": settings.serving_backend,
            "router_version": router.version if router else 0,
            "variants": deployment.variants(router, str(champion.record.get("model_name", "")) if champion else ""),
            "weights": deployment.weights(router),
            "model_name": deployment.model_name(settings.endpoint_name, request.run_id),
        }

    def _write_plan(self, request: RunRequest, champion: Champion | None, rows: Rows, expected: plan.Estimate) -> None:
        """plan.json, which prepare and evaluate read: a run can be made again from it."""
        written = {
            "run_id": request.run_id,
            "database": self._settings.database,
            "snapshots": dict(request.snapshots),
            "rows": rows.total,
            "left_out": dict(rows.left_out()),
            "champion": champion
            and {"run_id": champion.run_id, "trained_until": champion.record.get("trained_until", "")},
            "expected_usd": expected.usd,
        }
        self._s3.put_object(
            Bucket=self._settings.lake_bucket,
            Key=f"{s3_paths.run_prefix(request.run_id)}plan.json",
            Body=json.dumps(written, indent=1).encode(),
            ContentType="application/json",
        )


def with_newest_snapshots(event: Mapping[str, Any], table: Table) -> Mapping[str, Any]:
    """The input of a run that was started by hand, without snapshots: the newest, and all rows that wait."""
    if event.get("snapshots"):
        return event
    head = Head.read(table)
    return {**event, "snapshots": head.snapshots, "rows": head.rows_since_run}
