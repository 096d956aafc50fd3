"""`usher report ID`: a run's report, one page without anything from elsewhere, saved and opened.

The page is the container's; what came after it (the gate's verdict) or stood outside of it (SageMaker's trials) is put
in where the page has a comment for it.
"""

from __future__ import annotations

import html
import tempfile
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import runs
from cli.commands.runs import verdict
from cli.errors import CommandError
from cli.formatting.terminal import remark, say
from cli.runs import Run
from cli.target import Target, TargetCommand, chosen

app = typer.Typer()

REPORT_MAX_BYTES = 16 * 1024 * 1024
VERDICT, TRIALS = "<!-- usher: verdict -->", "<!-- usher: trials -->"


@dataclass(frozen=True, slots=True)
class Trial:
    """One training job of a tuning. objective: None where it never measured any."""

    algorithm: str
    name: str
    status: str
    objective: float | None
    hyperparameters: str


@app.command(cls=TargetCommand)
def report(
    ctx: typer.Context,
    run_id: Annotated[str, typer.Argument(metavar="[ID]", help="The run, or the beginning of its id.")] = "last",
    *,
    save: Annotated[Path | None, typer.Option("--save", help="Write the page here instead of opening it.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """A run's report: data, trials, champion against candidate, slices, examples."""
    if save is not None and save.exists() and not force:
        raise CommandError(f"{save} is there already: --force replaces it")
    target = chosen(ctx)
    found = runs.find(target, run_id)
    page = complete(fetch(target, found.run_id), found, trials(target, found.run_id))
    path = save or Path(tempfile.mkdtemp(prefix="usher-report-")) / f"{found.run_id}.html"
    path.write_text(page, encoding="utf-8")
    say(str(path))
    if save is None and not webbrowser.open(path.resolve().as_uri()):
        remark("There is no browser here: open the file above")


def fetch(target: Target, run_id: str) -> str:
    """The page as the container wrote it; CommandError when the run did not come so far."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - 0.3 s that --help need not pay

    from usher.schema import s3_paths  # noqa: PLC0415

    bucket, key = target.resources.lake_bucket, f"{s3_paths.run_prefix(run_id)}report.html"
    try:
        answer = target.client("s3").get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("NoSuchKey", "404"):
            raise
        raise CommandError(f"run {run_id} has no report: it did not come to evaluate (`usher run {run_id}`)") from error
    if answer["ContentLength"] > REPORT_MAX_BYTES:
        raise CommandError(f"s3://{bucket}/{key} has {answer['ContentLength']} bytes: that is no report")
    return str(answer["Body"].read().decode("utf-8", "replace"))


def trials(target: Target, run_id: str) -> list[Trial]:
    """The trials of the run's tuning jobs, best first within an algorithm; none where nothing was tuned."""
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


def complete(page: str, run: Run, found: Sequence[Trial]) -> str:
    """The page with the gate's verdict and the trials."""
    said = verdict(run)
    style = "good" if (run.record.get("gate") or {}).get("passed") else "bad"
    words = (
        f'<p class="verdict {style}">{html.escape(f"{run.overall_status}. {said}" if said else run.overall_status)}</p>'
    )
    return page.replace(VERDICT, words, 1).replace(TRIALS, _trials_table(found), 1)


def _trials_table(found: Sequence[Trial]) -> str:
    if not found:
        return "<h2>Trials</h2><p class=soft>Nothing was tuned: the last winner's hyperparameters were fitted anew.</p>"
    head = "<tr><th>algorithm</th><th>trial</th><th>hyperparameters</th><th>status</th><th class=n>objective</th></tr>"
    rows = "".join(_row(trial) for trial in found)
    said = "<h2>Trials</h2><p class=soft>Fitted on the training rows, scored on validation.</p>"
    return f"{said}<table>{head}{rows}</table>"


def _row(trial: Trial) -> str:
    cells = (trial.algorithm, trial.name, trial.hyperparameters, trial.status)
    said = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
    objective = "" if trial.objective is None else f"{trial.objective:.4f}"
    return f"<tr>{said}<td class=n>{objective}</td></tr>"


def _trial(algorithm: str, summary: dict[str, Any]) -> Trial:
    objective = summary.get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value")
    tuned = ", ".join(f"{name}={_short(value)}" for name, value in sorted(summary["TunedHyperParameters"].items()))
    name, status = str(summary["TrainingJobName"]), str(summary["TrainingJobStatus"])
    return Trial(algorithm, name, status, None if objective is None else float(objective), tuned)


def _short(value: str) -> str:
    """A number with four digits, anything else as it is: a trial's 0.12368406490508825 says no more than 0.1237."""
    try:
        return f"{float(value):.4g}"
    except ValueError:
        return str(value)
