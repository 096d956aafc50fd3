"""Tuning jobs: a search proposes hyperparameters, and each trial is a real training job."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Any

from twin.sagemaker.account import Account, Request, now
from twin.sagemaker.container import work_seconds
from twin.sagemaker.errors import JobFailed, Refused
from twin.sagemaker.job import Job
from twin.sagemaker.search import Proposal, Search, ranges_of, seed_of, should_stop_early
from twin.sagemaker.training import TrainingJob
from twin.sagemaker.training_actions import launch_training

_POLL_SECONDS = 0.05
_DEFINITION_ONLY = {"StaticHyperParameters", "HyperParameterRanges", "HyperParameterTuningResourceConfig"}
_NOT_FOR_TRIALS = _DEFINITION_ONLY | {"DefinitionName", "TuningObjective", "RetryStrategy"}


@dataclass(eq=False)
class Trial:
    """One training job of a tuning job, with its proposal."""

    job: TrainingJob
    proposal: Proposal
    objective: str
    reported: bool = False

    @property
    def series(self) -> list[float]:
        """The objective's values, oldest first."""
        return self.job.metrics.series(self.objective)

    @property
    def value(self) -> float | None:
        """The objective: its last value."""
        series = self.series
        return series[-1] if series else None

    @property
    def objective_status(self) -> str:
        if not self.job.finished:
            return "Pending"
        return "Succeeded" if self.value is not None and self.job.status != "Failed" else "Failed"


class TuningJob(Job):
    """One tuning job."""

    kind = "HyperParameter Tuning Job"

    def __init__(self, account: Account, request: Request) -> None:
        name = request["HyperParameterTuningJobName"]
        super().__init__(account, name, account.arn("hyper-parameter-tuning-job", name), request)
        self.config = request["HyperParameterTuningJobConfig"]
        self.objective = self.config["HyperParameterTuningJobObjective"]
        self.maximize = self.objective["Type"] == "Maximize"
        self.trials: list[Trial] = []

    @property
    def best(self) -> Trial | None:
        """The completed trial with the best objective."""
        done = [trial for trial in list(self.trials) if trial.job.status == "Completed" and trial.value is not None]
        return (max if self.maximize else min)(done, key=lambda trial: trial.value or 0.0, default=None)

    def _work(self) -> str:
        self.started = now()
        search = self._search()
        most = int(self.config["ResourceLimits"]["MaxNumberOfTrainingJobs"])
        end = self._deadline()
        while True:
            self._learn(search)
            self._stop_early()
            running = [trial for trial in self.trials if not trial.job.finished]
            over = self._stop.is_set() or (end is not None and time.monotonic() > end)
            if over:
                for trial in running:
                    trial.job.stop()
            if not running and (over or len(self.trials) >= most):
                return self._final_status()
            if not over:
                self._launch(search, min(most - len(self.trials), self._parallel - len(running)))
            self._wait()

    @property
    def _parallel(self) -> int:
        return int(self.config["ResourceLimits"]["MaxParallelTrainingJobs"])

    def _wait(self) -> None:
        if self._stop.is_set():
            time.sleep(_POLL_SECONDS)  # the event is set and waits for nothing; the trials are being stopped
        else:
            self._stop.wait(_POLL_SECONDS)

    def _search(self) -> Search:
        ranges = ranges_of(self.config["ParameterRanges"])
        seed = seed_of(self.name, self.config.get("RandomSeed"))
        return Search(self.config["Strategy"], ranges, maximize=self.maximize, seed=seed)

    def _deadline(self) -> float | None:
        seconds = self.config["ResourceLimits"].get("MaxRuntimeInSeconds")
        return None if seconds is None else time.monotonic() + work_seconds(seconds)

    def _launch(self, search: Search, count: int) -> None:
        for _ in range(count):
            proposal = search.propose()
            number = len(self.trials) + 1
            unique = hashlib.sha256(f"{self.arn}/{self.created}/{number}".encode()).hexdigest()[:8]
            request = trial_request(self.request, f"{self.name}-{number:03d}-{unique}", proposal.tuned)
            try:
                job = launch_training(self.account, request, self.arn)
            except Refused as error:
                raise JobFailed(f"ClientError: {error.message}") from error
            self.trials.append(Trial(job, proposal, self.objective["MetricName"]))
            self.touch()

    def _learn(self, search: Search) -> None:
        for trial in self.trials:
            if trial.job.finished and not trial.reported:
                trial.reported = True
                search.learn(trial.proposal, trial.value if trial.objective_status == "Succeeded" else None)
                self.touch()

    def _stop_early(self) -> None:
        if self.config.get("TrainingJobEarlyStoppingType", "Off") != "Auto":
            return
        finished = [trial.series for trial in self.trials if trial.job.status == "Completed"]
        for trial in self.trials:
            if trial.job.status == "InProgress" and should_stop_early(trial.series, finished, maximize=self.maximize):
                trial.job.stop()

    def _final_status(self) -> str:
        if self._stop.is_set():
            return "Stopped"
        if self.trials and all(trial.job.status == "Failed" for trial in self.trials):
            raise JobFailed("All training jobs failed. Please look at the training job failures to get more details.")
        if not any(trial.value is not None for trial in self.trials):
            raise JobFailed(
                f"No training job emitted the objective metric {self.objective['MetricName']}; its regex must match a "
                "line that the algorithm prints."
            )
        return "Completed"

    def describe(self) -> dict[str, Any]:
        """DescribeHyperParameterTuningJob."""
        best = self.best
        seconds = sum(trial.job.seconds for trial in list(self.trials))
        return {
            **self.request,
            "HyperParameterTuningJobArn": self.arn,
            "HyperParameterTuningJobStatus": self.status,
            "CreationTime": self.created,
            "HyperParameterTuningEndTime": self.ended if self.finished else None,
            "LastModifiedTime": self.modified,
            "TrainingJobStatusCounters": self.status_counters(),
            "ObjectiveStatusCounters": self.objective_counters(),
            "BestTrainingJob": self.summary(best) if best else None,
            "ConsumedResources": {"RuntimeInSeconds": seconds},
            "FailureReason": self.failure_reason,
        }

    def summary(self, trial: Trial) -> dict[str, Any]:
        """A HyperParameterTrainingJobSummary."""
        job = trial.job
        final = {"Type": self.objective["Type"], "MetricName": trial.objective, "Value": trial.value}
        return {
            "TrainingJobName": job.name,
            "TrainingJobArn": job.arn,
            "CreationTime": job.created,
            "TrainingStartTime": job.started,
            "TrainingEndTime": job.ended if job.finished and job.started else None,
            "TrainingJobStatus": job.status,
            "TunedHyperParameters": dict(trial.proposal.tuned),
            "FailureReason": job.failure_reason,
            "FinalHyperParameterTuningJobObjectiveMetric": final if trial.value is not None else None,
            "ObjectiveStatus": trial.objective_status,
        }

    def status_counters(self) -> dict[str, int]:
        """TrainingJobStatusCounters."""
        states = [trial.job.status for trial in list(self.trials)]
        return {
            "Completed": states.count("Completed"),
            "InProgress": states.count("InProgress") + states.count("Stopping"),
            "RetryableError": 0,
            "NonRetryableError": states.count("Failed"),
            "Stopped": states.count("Stopped"),
        }

    def objective_counters(self) -> dict[str, int]:
        """ObjectiveStatusCounters."""
        states = [trial.objective_status for trial in list(self.trials)]
        return {name: states.count(name) for name in ("Succeeded", "Pending", "Failed")}


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
