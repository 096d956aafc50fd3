"""Tuning jobs: trials are real training jobs, as many at once as allowed, each told by the search what to try."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Any

from twin.sagemaker.account import Account, Request, now
from twin.sagemaker.container import work_seconds
from twin.sagemaker.errors import JobFailed, Refused
from twin.sagemaker.job import Job
from twin.sagemaker.search import Grid, Proposal, Sampled, Tuned, is_hopeless, ranges_of, seed_of
from twin.sagemaker.training import TrainingJob
from twin.sagemaker.training_actions import launch_training

_POLL_SECONDS = 0.05
_DEFINITION_ONLY = {"StaticHyperParameters", "HyperParameterRanges", "HyperParameterTuningResourceConfig"}
_NOT_FOR_TRIALS = _DEFINITION_ONLY | {"DefinitionName", "TuningObjective", "RetryStrategy"}


@dataclass(eq=False)
class Trial:
    """One training job of a tuning job, and what it was to try."""

    job: TrainingJob
    proposal: Proposal
    objective: str
    learnt: bool = False

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

    def __init__(self, account: Account, request: Request, parents: list[TuningJob]) -> None:
        name = request["HyperParameterTuningJobName"]
        super().__init__(account, name, account.arn("hyper-parameter-tuning-job", name), request)
        self.config = request["HyperParameterTuningJobConfig"]
        self.objective = self.config["HyperParameterTuningJobObjective"]
        self.maximize = self.objective["Type"] == "Maximize"
        self.parents = parents
        self.trials: list[Trial] = []
        self._done_reason: str | None = None

    @property
    def best(self) -> Trial | None:
        """The completed trial with the best objective."""
        done = [trial for trial in list(self.trials) if trial.job.status == "Completed" and trial.value is not None]
        return (max if self.maximize else min)(done, key=lambda trial: trial.value or 0.0, default=None)

    @property
    def overall_best(self) -> Trial | None:
        """The best of this job and of its parents."""
        found = [best for job in (self, *self.parents) if (best := job.best)]
        return (max if self.maximize else min)(found, key=lambda trial: trial.value or 0.0, default=None)

    def _work(self) -> str:
        self.started = now()
        search = self._search()
        most = (
            search.count if isinstance(search, Grid) else int(self.config["ResourceLimits"]["MaxNumberOfTrainingJobs"])
        )
        end = self._deadline()
        while True:
            self._learn(search)
            self._stop_hopeless()
            running = [trial for trial in self.trials if not trial.job.finished]
            over = self._stop.is_set() or self._is_done() or (end is not None and time.monotonic() > end)
            if over:
                for trial in running:
                    trial.job.stop()
            if not running and (over or len(self.trials) >= most):
                return self._verdict()
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

    def _search(self) -> Grid | Sampled:
        ranges = ranges_of(self.config["ParameterRanges"])
        strategy = self.config["Strategy"]
        if strategy == "Grid":
            return Grid(ranges)
        seed = seed_of(self.name, self.config.get("RandomSeed"))
        search = Sampled(strategy, ranges, maximize=self.maximize, seed=seed)
        for parent in self.parents:
            for trial in parent.trials:
                if trial.value is not None and trial.job.status == "Completed":
                    search.remember(trial.proposal.tuned, trial.value)
        return search

    def _deadline(self) -> float | None:
        seconds = self.config["ResourceLimits"].get("MaxRuntimeInSeconds")
        return None if seconds is None else time.monotonic() + work_seconds(seconds)

    def _launch(self, search: Grid | Sampled, count: int) -> None:
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

    def _learn(self, search: Grid | Sampled) -> None:
        for trial in self.trials:
            if trial.job.finished and not trial.learnt:
                trial.learnt = True
                search.learn(trial.proposal, trial.value if trial.objective_status == "Succeeded" else None)
                self.touch()

    def _stop_hopeless(self) -> None:
        if self.config.get("TrainingJobEarlyStoppingType", "Off") != "Auto":
            return
        finished = [trial.series for trial in self.trials if trial.job.status == "Completed"]
        for trial in self.trials:
            if trial.job.status == "InProgress" and is_hopeless(trial.series, finished, maximize=self.maximize):
                trial.job.stop()

    def _is_done(self) -> bool:
        """Whether a completion criterion is met."""
        criteria = self.config.get("TuningJobCompletionCriteria") or {}
        best, target = self.best, criteria.get("TargetObjectiveMetricValue")
        if best is None or best.value is None:
            return False
        if target is not None and (best.value >= target if self.maximize else best.value <= target):
            return True
        patience = (criteria.get("BestObjectiveNotImproving") or {}).get("MaxNumberOfTrainingJobsNotImproving")
        return patience is not None and self._not_improving(best) >= patience

    def _not_improving(self, best: Trial) -> int:
        """Trials that ended after the best one."""
        at = best.job.ended
        return sum(
            1 for trial in self.trials if trial.job.ended is not None and at is not None and trial.job.ended > at
        )

    def _verdict(self) -> str:
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
        best, overall = self.best, self.overall_best
        seconds = sum(trial.job.seconds for trial in list(self.trials))
        not_improving = {"NumberOfTrainingJobsObjectiveNotImproving": self._not_improving(best)} if best else None
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
            "OverallBestTrainingJob": self.summary(overall) if overall and self.parents else None,
            "TuningJobCompletionDetails": not_improving,
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
            "TunedHyperParameters": self._tuned(trial),
            "FailureReason": job.failure_reason,
            "FinalHyperParameterTuningJobObjectiveMetric": final if trial.value is not None else None,
            "ObjectiveStatus": trial.objective_status,
        }

    @staticmethod
    def _tuned(trial: Trial) -> Tuned:
        return dict(trial.proposal.tuned)

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
