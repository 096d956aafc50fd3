"""What SageMaker refuses of a tuning job beyond the shape of the request, and what the twin cannot do."""

from __future__ import annotations

from typing import Any

from twin.sagemaker import training_request
from twin.sagemaker.account import Account
from twin.sagemaker.errors import invalid, unsupported
from twin.sagemaker.resource import Request
from twin.sagemaker.search import Range, ranges_of

RANGES_MAX = 30
_DEFINITION_ONLY = {"StaticHyperParameters", "HyperParameterRanges", "HyperParameterTuningResourceConfig"}
_NOT_FOR_TRIALS = _DEFINITION_ONLY | {"DefinitionName", "TuningObjective", "RetryStrategy"}


def check(account: Account, request: Request) -> None:
    """Refused with AWS's reason, or with what the twin lacks."""
    config = request["HyperParameterTuningJobConfig"]
    if request.get("TrainingJobDefinitions"):
        raise unsupported("several training job definitions in one tuning job")
    if request.get("Autotune"):
        raise unsupported("Autotune")
    if config["Strategy"] not in ("Bayesian", "Random", "Grid"):
        raise unsupported(f"the strategy {config['Strategy']}")
    if not request.get("TrainingJobDefinition"):
        raise invalid("TrainingJobDefinition must be specified.")
    ranges = ranges_of(config.get("ParameterRanges") or {})
    _check_ranges(config, ranges, request["TrainingJobDefinition"])
    _check_limits(config)
    trial = trial_request(request, "trial", {})
    training_request.check(trial)
    _check_objective(config, trial)
    _check_parents(account, request, ranges)


def trial_request(request: Request, name: str, tuned: dict[str, str]) -> Request:
    """The CreateTrainingJob request of one trial: the definition, static and tuned hyperparameters, the objective."""
    definition = request["TrainingJobDefinition"]
    objective = request["HyperParameterTuningJobConfig"].get("HyperParameterTuningJobObjective") or {}
    trial = {field: value for field, value in definition.items() if field not in _NOT_FOR_TRIALS}
    resources = definition.get("ResourceConfig") or definition.get("HyperParameterTuningResourceConfig")
    return {
        **trial,
        "TrainingJobName": name,
        "ResourceConfig": resources,
        "HyperParameters": {
            "_tuning_objective_metric": objective.get("MetricName", ""),
            **(definition.get("StaticHyperParameters") or {}),
            **tuned,
        },
    }


def _check_ranges(config: Request, ranges: list[Range], definition: Request) -> None:
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
    if config["Strategy"] == "Grid" and any(item.choices is None for item in ranges):
        raise invalid("The strategy Grid takes categorical ranges only.")


def _check_limits(config: Request) -> None:
    limits = config["ResourceLimits"]
    count = limits.get("MaxNumberOfTrainingJobs")
    if config["Strategy"] == "Grid":
        return
    if count is None:
        raise invalid("ResourceLimits must give MaxNumberOfTrainingJobs.")
    if limits["MaxParallelTrainingJobs"] > count:
        raise invalid("MaxParallelTrainingJobs must not be greater than MaxNumberOfTrainingJobs.")
    if (config.get("TuningJobCompletionCriteria") or {}).get("ConvergenceDetected"):
        raise unsupported("ConvergenceDetected as a completion criterion")


def _check_objective(config: Request, trial: Request) -> None:
    objective = config.get("HyperParameterTuningJobObjective")
    if not objective:
        raise invalid("HyperParameterTuningJobObjective must be specified.")
    defined = [item["Name"] for item in trial["AlgorithmSpecification"].get("MetricDefinitions") or []]
    if objective["MetricName"] not in defined:
        raise invalid(
            f"The objective metric {objective['MetricName']} must be one of MetricDefinitions"
            f" ({', '.join(defined) or 'there are none'})."
        )


def _check_parents(account: Account, request: Request, ranges: list[Range]) -> None:
    warm: dict[str, Any] = request.get("WarmStartConfig") or {}
    objective = request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    for item in warm.get("ParentHyperParameterTuningJobs") or []:
        name = item["HyperParameterTuningJobName"]
        parent = account.tuning_jobs.get(name)
        if parent is None:
            raise invalid(f"The parent tuning job {name} does not exist.")
        if not parent.finished:
            raise invalid(f"The parent tuning job {name} is still {parent.status}.")
        config = parent.request["HyperParameterTuningJobConfig"]
        if config["HyperParameterTuningJobObjective"] != objective:
            raise invalid(f"The objective metric must be the parent's ({name}).")
        if len(ranges_of(config["ParameterRanges"])) != len(ranges):
            raise invalid(f"The number of tuned hyperparameters must be the parent's ({name}).")
