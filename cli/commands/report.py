"""`usher report ID`: render a run's evaluation as one HTML page, save it and open it in the browser."""

from __future__ import annotations

import json
import tempfile
import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.commands.runs import verdict
from cli.errors import CommandError
from cli.formatting.run_report import Trial, page
from cli.formatting.terminal import remark, say
from cli.runs import Run, find
from cli.target import Target, TargetCommand, chosen

app = typer.Typer()


@app.command(cls=TargetCommand)
def report(
    ctx: typer.Context,
    run_id: Annotated[str, typer.Argument(metavar="[ID]", help="Run id, or the beginning of one.")] = "last",
    *,
    save: Annotated[Path | None, typer.Option("--save", help="Save the page here instead of opening it.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Open the evaluation report of a run: data, trials, champion against candidate, slices, examples."""
    if save is not None and save.exists() and not force:
        raise CommandError(f"{save} exists already: replace it with --force")
    target = chosen(ctx)
    found = find(target, run_id)
    rendered = render(target, found)
    path = save or Path(tempfile.mkdtemp(prefix="usher-report-")) / f"{found.run_id}.html"
    path.write_text(rendered, encoding="utf-8")
    say(str(path))
    if save is None and not webbrowser.open(path.resolve().as_uri()):
        remark("No browser was found: open the file above")


def render(target: Target, run: Run) -> str:
    """The run's page; CommandError when the run was not evaluated, or by another version."""
    evaluation, decided = read_evaluation(target, run.run_id), verdict(run)
    passed = bool((run.record.get("gate") or {}).get("passed"))
    shown = f"{run.overall_status}. {decided}" if decided else run.overall_status
    try:
        return page(evaluation, shown, passed=passed, trials=trials(target, run.run_id))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CommandError(
            f"the evaluation.json of run {run.run_id} does not fit this version ({error}): start a new run"
        ) from error


def read_evaluation(target: Target, run_id: str) -> Any:
    """The run's evaluation.json; CommandError when the run has none, or it is not JSON."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - 0.3 s that --help need not pay

    from usher.runs.gate import EVALUATION_MAX_BYTES  # noqa: PLC0415
    from usher.schema import s3_paths  # noqa: PLC0415

    bucket, key = target.resources.lake_bucket, f"{s3_paths.run_prefix(run_id)}evaluation.json"
    try:
        response = target.client("s3").get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("NoSuchKey", "404"):
            raise
        raise CommandError(f"run {run_id} was not evaluated: `usher run {run_id}` shows its states") from error
    if response["ContentLength"] > EVALUATION_MAX_BYTES:
        raise CommandError(
            f"s3://{bucket}/{key} has {response['ContentLength']:,} bytes, more than an evaluation: start a new run"
        )
    try:
        return json.loads(response["Body"].read())
    except (ValueError, RecursionError) as error:
        raise CommandError(f"s3://{bucket}/{key} is not JSON: start a new run") from error


def trials(target: Target, run_id: str) -> list[Trial]:
    """The trials of the run's tuning jobs, the best first within an algorithm; empty when nothing was tuned."""
    sagemaker = target.client("sagemaker")
    found = []
    listed = sagemaker.list_hyper_parameter_tuning_jobs(NameContains=f"{run_id}-", MaxResults=100)
    for job in listed["HyperParameterTuningJobSummaries"]:
        name = str(job["HyperParameterTuningJobName"])
        algorithm = name.removeprefix(f"{run_id}-").partition("-")[0]
        summaries = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name, SortBy="FinalObjectiveMetricValue", SortOrder="Descending", MaxResults=100
        )["TrainingJobSummaries"]
        found += [_trial(algorithm, one) for one in summaries]
    return found


def _trial(algorithm: str, summary: dict[str, Any]) -> Trial:
    objective = summary.get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value")
    tuned = ", ".join(f"{name}={_short(value)}" for name, value in sorted(summary["TunedHyperParameters"].items()))
    name, status = str(summary["TrainingJobName"]), str(summary["TrainingJobStatus"])
    return Trial(algorithm, name, status, None if objective is None else float(objective), tuned)


def _short(value: str) -> str:
    """A number with four digits; any other value unchanged."""
    try:
        return f"{float(value):.4g}"
    except ValueError:
        return str(value)
