"""PrepareRun: takes lock and new rows, decides what the run trains, checks cost and quotas, and records the plan."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from usher.errors import InputError, RouterMoved, TableMissing, code
from usher.runs import cost, deployment, images
from usher.runs.quotas import InstanceTypes, QuotaReader, needs, require, trainings_at_once
from usher.schema import s3_paths
from usher.schema.settings import Settings
from usher.store.router import Router, read_router
from usher.store.run_lock import RunLock
from usher.store.run_progress import COUNTED_DATASETS, RunProgress, take_rows
from usher.store.runs import Runs

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

#: A table's metadata grows with its snapshots; above this size they have to be expired.
METADATA_MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RunRequest:
    """PrepareRun's input. snapshots: id by data set. rows: how many new rows the run takes."""

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
                f"this is not the input of a run ({type(error).__name__}: {error}): start runs with `usher runs start`"
            ) from error


@dataclass(frozen=True, slots=True)
class Champion:
    """The model that serves. record: that of the run which trained it."""

    run_id: str
    record: Mapping[str, Any]

    @classmethod
    def find(cls, router: Router | None, runs: Runs) -> Champion | None:
        if router is None:
            return None
        run_id = router.models[router.champion]
        return cls(run_id, runs.find(run_id) or {})

    @property
    def tuning(self) -> cost.TuningResult | None:
        found = self.record.get("hyperparameters")
        return cost.TuningResult(int(self.record.get("tuned_rows", 0)), found) if found else None


class Planner:
    """Plans runs for one deployment. warn: takes what an operator should read, and does not stop a run."""

    def __init__(  # noqa: PLR0913, PLR0917 - its clients
        self,
        table: Table,
        s3: S3Client,
        glue: Any,
        ecr: Any,
        settings: Settings,
        quotas: QuotaReader,
        warn: Callable[[str], object],
    ) -> None:
        self._table = table
        self._s3 = s3
        self._glue = glue
        self._ecr = ecr
        self._settings = settings
        self._quotas = quotas
        self._warn = warn
        self._runs = Runs(table)

    def prepare(self, request: RunRequest, now: int) -> dict[str, Any]:
        """The workflow's `run`: references and settings. RunInProgress, ImageMissing, OverBudget, QuotaTooLow …"""
        RunLock(self._table).take(request.run_id, now, request.execution_arn)
        self._runs.record(
            request.run_id,
            status="running",
            execution_arn=request.execution_arn,
            started_at=now,
            snapshots={name: str(snapshot) for name, snapshot in request.snapshots.items()},
        )
        self._check_no_experiment(request.run_id)
        take_rows(self._table, request.run_id, request.rows)
        return self._plan(request)

    def _check_no_experiment(self, run_id: str) -> None:
        """RouterMoved while an experiment is open: a new model would replace its challenger."""
        router = read_router(self._table)
        if router is not None and router.experiment_is_open:
            raise RouterMoved(
                f"run {run_id} cannot start: experiment {router.experiment_id} is open, so no variant is free for "
                "a new model; start it when the experiment has closed, or end the experiment with `usher rollback`"
            )

    def _plan(self, request: RunRequest) -> dict[str, Any]:
        settings = self._settings
        image = images.pin(self._ecr, settings.recommender_image, settings.recommender_repository)
        self._runs.record(request.run_id, image=image)
        router = read_router(self._table)
        champion = Champion.find(router, self._runs)
        tuning = champion.tuning if champion else None
        rows = self._rows(request.snapshots)
        job_settings = cost.JobSettings(
            settings.processing_instance_type, settings.training_instance_type, settings.tuning_trials
        )
        tuned = [one for one in rows.algorithms() if cost.is_tuned(one, rows.total, tuning)]
        expected = cost.estimate(rows, tuned, job_settings)
        tuned_rows = rows.total if tuned or tuning is None else tuning.rows
        summary = "; ".join([expected.summary(), *(f"without {name}: {why}" for name, why in rows.left_out().items())])
        self._runs.record(request.run_id, cost_usd=expected.usd, plan=summary, rows=rows.total, tuned_rows=tuned_rows)
        cost.check_budget(request.run_id, expected, settings.budget_usd)
        self._check_quotas(request.run_id, len(tuned), len(rows.algorithms()) - len(tuned), router)
        run = {**self._run(request, router, champion, job_settings), "image": image}
        run["algorithms"] = cost.jobs(rows, tuning)
        self._write_plan(request, champion, rows, image, expected.usd)
        return run

    def _check_quotas(self, run_id: str, tuned: int, untuned: int, router: Router | None) -> None:
        settings = self._settings
        hosting = settings.hosting_instance_type if settings.serving_backend == "endpoint" else ""
        types = InstanceTypes(settings.processing_instance_type, settings.training_instance_type, hosting)
        trials = min(settings.parallel_trials, settings.tuning_trials)
        trainings = trainings_at_once(tuned, untuned, settings.parallel_algorithms, trials)
        wanted = needs(types, trainings, updates_endpoint=router is not None)
        for warning in require(run_id, self._quotas, wanted):
            self._warn(warning)

    def _rows(self, snapshots: Mapping[str, int]) -> cost.TrainingRows:
        """Counted by the snapshots' summaries: no data is scanned."""
        database = self._settings.database
        counted = {
            name: row_count(self._glue, self._s3, database, name, snapshots[name]) if name in snapshots else 0
            for name in COUNTED_DATASETS
        }
        return cost.TrainingRows(**counted)

    def _run(
        self, request: RunRequest, router: Router | None, champion: Champion | None, jobs: cost.JobSettings
    ) -> dict[str, Any]:
        settings = self._settings
        bundle = f"s3://{settings.lake_bucket}/{s3_paths.run_prefix(champion.run_id)}bundle/" if champion else ""
        return {
            "run_id": request.run_id,
            "prefix": f"s3://{settings.lake_bucket}/{s3_paths.run_prefix(request.run_id).rstrip('/')}",
            "machines": {
                "processing": jobs.processing,
                "training": jobs.training,
                "hosting": settings.hosting_instance_type,
            },
            "trials": jobs.trials,
            "parallel_algorithms": settings.parallel_algorithms,
            "parallel_trials": min(settings.parallel_trials, jobs.trials),
            "champion_bundle": bundle,
            "serving": settings.serving_backend,
            "router_version": router.version if router else 0,
            "variants": deployment.variants(router, str(champion.record.get("model_name", "")) if champion else ""),
            "weights": deployment.weights(router),
            "model_name": deployment.model_name(settings.endpoint_name, request.run_id),
        }

    def _write_plan(
        self, request: RunRequest, champion: Champion | None, rows: cost.TrainingRows, image: str, expected_usd: float
    ) -> None:
        """Write plan.json, which prepare and evaluate read and from which a run can be repeated."""
        written = {
            "run_id": request.run_id,
            "database": self._settings.database,
            "snapshots": dict(request.snapshots),
            "rows": rows.total,
            "left_out": dict(rows.left_out()),
            "champion": champion
            and {"run_id": champion.run_id, "trained_until": champion.record.get("trained_until", "")},
            "image": image,
            "expected_usd": expected_usd,
        }
        self._s3.put_object(
            Bucket=self._settings.lake_bucket,
            Key=f"{s3_paths.run_prefix(request.run_id)}plan.json",
            Body=json.dumps(written, indent=1).encode(),
            ContentType="application/json",
        )


def with_newest_snapshots(event: Mapping[str, Any], table: Table) -> Mapping[str, Any]:
    """The input of a run; one that names no snapshots gets the newest, and takes all new rows."""
    if event.get("snapshots"):
        return event
    progress = RunProgress.read(table)
    return {**event, "snapshots": progress.snapshots, "rows": progress.rows_since_run}


def row_count(glue: Any, s3: S3Client, database: str, dataset: str, snapshot_id: int) -> int:
    """Rows of a data set in an Iceberg snapshot, less deleted ones; TableMissing without the table or the snapshot."""
    summary = _snapshot_summary(_metadata(glue, s3, database, dataset), database, dataset, snapshot_id)
    return int(summary.get("total-records", 0)) - int(summary.get("total-position-deletes", 0))


def _metadata(glue: Any, s3: S3Client, database: str, dataset: str) -> Mapping[str, Any]:
    """The table's Iceberg metadata file."""
    try:
        table = glue.get_table(DatabaseName=database, Name=dataset)["Table"]
        location = urlsplit(table["Parameters"]["metadata_location"])
    except ClientError as error:
        if code(error) != "EntityNotFoundException":
            raise
        raise TableMissing(
            f"the catalog has no table {database}.{dataset}: update the stack, catalog_tables creates it"
        ) from error
    except KeyError as error:
        raise TableMissing(
            f"{database}.{dataset} is not an Iceberg table, it has no metadata_location: drop it and update the stack"
        ) from error
    answer = s3.get_object(Bucket=location.netloc, Key=location.path.lstrip("/"))
    if answer["ContentLength"] > METADATA_MAX_BYTES:
        raise TableMissing(
            f"the metadata of {database}.{dataset} has {answer['ContentLength']} bytes: expire snapshots"
        )
    metadata: dict[str, Any] = json.loads(answer["Body"].read())
    return metadata


def _snapshot_summary(metadata: Mapping[str, Any], database: str, dataset: str, snapshot_id: int) -> Mapping[str, Any]:
    for snapshot in metadata.get("snapshots", ()):
        if snapshot["snapshot-id"] == snapshot_id:
            summary: dict[str, Any] = snapshot.get("summary", {})
            return summary
    raise TableMissing(f"snapshot {snapshot_id} of {database}.{dataset} has expired: start a run on the newest one")
