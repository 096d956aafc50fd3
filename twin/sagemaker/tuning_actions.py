"""The API calls about tuning jobs, and the checks of a request beyond its shape."""

from __future__ import annotations

from typing import Any

from twin.sagemaker import listing, training_actions
from twin.sagemaker.account import Account, Request
from twin.sagemaker.errors import in_use, invalid, not_found, unsupported
from twin.sagemaker.search import Range, ranges_of
from twin.sagemaker.training import TrainingJob
from twin.sagemaker.tuning import TuningJob, trial_request

RANGES_MAX = 30
_SUMMARY = """HyperParameterTuningJobName HyperParameterTuningJobArn HyperParameterTuningJobStatus CreationTime
    HyperParameterTuningEndTime LastModifiedTime TrainingJobStatusCounters ObjectiveStatusCounters"""


def check(request: Request) -> None:
    """Raise Refused for a request that AWS refuses or the twin does not support."""
    config = request["HyperParameterTuningJobConfig"]
    if request.get("TrainingJobDefinitions"):
        raise unsupported("several training job definitions in one tuning job")
    for field in ("Autotune", "WarmStartConfig"):
        if request.get(field):
            raise unsupported(field)
    if config.get("TuningJobCompletionCriteria"):
        raise unsupported("TuningJobCompletionCriteria")
    if config["Strategy"] not in ("Bayesian", "Random"):
        raise unsupported(f"the strategy {config['Strategy']}; use Bayesian or Random")
    if not request.get("TrainingJobDefinition"):
        raise invalid("TrainingJobDefinition must be specified.")
    ranges = ranges_of(config.get("ParameterRanges") or {})
    _check_ranges(ranges, request["TrainingJobDefinition"])
    _check_limits(config)
    trial = trial_request(request, "trial", {})
    training_actions.check(trial)
    _check_objective(config, trial)


def _check_ranges(ranges: list[Range], definition: Request) -> None:
    if not ranges:
        raise invalid("ParameterRanges must name at least one hyperparameter to tune.")
    if len(ranges) > RANGES_MAX:
        raise invalid(f"ParameterRanges may name at most {RANGES_MAX} hyperparameters.")
    names = [item.name for item in ranges]
    if len(set(names)) != len(names):
        raise invalid("The names of tuned hyperparameters must be unique.")
    both = sorted(set(names) & set(definition.get("StaticHyperParameters") or {}))
    if both:
        raise invalid(f"Hyperparameters cannot be both static and tuned: {', '.join(both)}.")


def _check_limits(config: Request) -> None:
    limits = config["ResourceLimits"]
    count = limits.get("MaxNumberOfTrainingJobs")
    if count is None:
        raise invalid("ResourceLimits must give MaxNumberOfTrainingJobs.")
    if limits["MaxParallelTrainingJobs"] > count:
        raise invalid("MaxParallelTrainingJobs must not be greater than MaxNumberOfTrainingJobs.")


def _check_objective(config: Request, trial: Request) -> None:
    objective = config.get("HyperParameterTuningJobObjective")
    if not objective:
        raise invalid("HyperParameterTuningJobObjective must be specified.")
    defined = [item["Name"] for item in trial["AlgorithmSpecification"].get("MetricDefinitions") or []]
    if objective["MetricName"] not in defined:
        raise invalid(
            f"The objective metric {objective['MetricName']} must be one of MetricDefinitions"
            f" ({', '.join(defined) or 'none are defined'})."
        )


def create_hyper_parameter_tuning_job(account: Account, request: Request) -> dict[str, Any]:
    check(request)
    job = TuningJob(account, request)
    taken = in_use(
        "Hyper parameter tuning job names must be unique within an AWS account and region, and a hyper parameter "
        f"tuning job with this name already exists ({job.arn})"
    )
    account.put(job, taken)
    job.launch()
    return {"HyperParameterTuningJobArn": job.arn}


def describe_hyper_parameter_tuning_job(account: Account, request: Request) -> dict[str, Any]:
    return _find(account, request).describe()


def stop_hyper_parameter_tuning_job(account: Account, request: Request) -> dict[str, Any]:
    return _find(account, request).stop_call("tuning")


def list_hyper_parameter_tuning_jobs(account: Account, request: Request) -> dict[str, Any]:
    jobs, described = account.all(TuningJob), listing.fields(_SUMMARY)

    def summary(job: TuningJob) -> dict[str, Any]:
        return {**described(job), **{name: job.config[name] for name in ("Strategy", "ResourceLimits")}}

    return listing.page("HyperParameterTuningJobSummaries", jobs, summary, request, "HyperParameterTuningJobStatus")


def list_training_jobs_for_hyper_parameter_tuning_job(account: Account, request: Request) -> dict[str, Any]:
    job = _find(account, request)
    by_name = {trial.job.name: trial for trial in list(job.trials)}
    trials = {name: trial.job for name, trial in by_name.items()}

    def objective(trial_job: TrainingJob) -> float:
        value = by_name[trial_job.name].value
        return float("-inf") if value is None else value

    return listing.page(
        "TrainingJobSummaries",
        trials,
        lambda trial_job: job.summary(by_name[trial_job.name]),
        {"SortBy": "Name", **request},
        "TrainingJobStatus",
        descending=False,
        sorts={"FinalObjectiveMetricValue": objective},
    )


def _find(account: Account, request: Request) -> TuningJob:
    name = request["HyperParameterTuningJobName"]
    missing = not_found(f"Amazon SageMaker can't find a tuning job with the name {name}.")
    return account.find(TuningJob, name, missing)
