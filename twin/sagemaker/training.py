"""Training jobs: channels from S3, the container's `train`, the model back to S3."""

from __future__ import annotations

import datetime
import json
import threading
from pathlib import Path
from typing import Any

from twin import context
from twin.sagemaker import objects
from twin.sagemaker.account import Account, Request, now
from twin.sagemaker.container import Container, work_seconds
from twin.sagemaker.errors import JobFailed
from twin.sagemaker.job import ExitStatus, Job
from twin.sagemaker.output import NAMESPACE, LogStream, Metrics, publish_training

DEFAULT_RUNTIME_SECONDS = 86_400
LOG_GROUP = "/aws/sagemaker/TrainingJobs"

#: Secondary status → what AWS writes beside it.
_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


class TrainingJob(Job):
    """One training job; `tuning` is the ARN of the tuning job that it is a trial of."""

    kind = "Training Job"
    writable = ("model", "output", "checkpoints")

    def __init__(self, account: Account, request: Request, tuning: str | None = None) -> None:
        name = request["TrainingJobName"]
        super().__init__(account, name, account.arn("training-job", name), request)
        self.tuning = tuning
        self.metrics = Metrics(request["AlgorithmSpecification"].get("MetricDefinitions") or [])
        self.secondary = ""
        self._entering = threading.Lock()
        self.artifact: str | None = None
        self.transitions: list[dict[str, Any]] = []
        self._ended: ExitStatus | None = None
        self._log = LogStream(
            account.account,
            account.region,
            LOG_GROUP,
            f"{name}/algo-1-{int(self.created.timestamp())}",
            self.execution_role,
        )
        self._enter("Starting")

    def stop(self) -> bool:
        """As StopTrainingJob: what /opt/ml/model holds then is kept."""
        stopping = super().stop()
        if stopping:
            self._enter("Stopping")
        return stopping

    def describe(self) -> dict[str, Any]:
        """DescribeTrainingJob."""
        done = self.finished and self.started is not None
        return {
            **self.request,
            "TrainingJobArn": self.arn,
            "TuningJobArn": self.tuning,
            "TrainingJobStatus": self.status,
            "SecondaryStatus": self.secondary,
            "SecondaryStatusTransitions": [dict(item) for item in self.transitions],
            "FailureReason": self.failure_reason,
            "ModelArtifacts": {"S3ModelArtifacts": self.artifact} if self.artifact else None,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "TrainingStartTime": self.started,
            "TrainingEndTime": self.ended if done else None,
            "TrainingTimeInSeconds": self.seconds if done else None,
            "BillableTimeInSeconds": self.seconds if done else None,
            "FinalMetricDataList": self.metrics.final() or None,
        }

    def _work(self) -> str:
        algorithm = self.request["AlgorithmSpecification"]
        arguments = algorithm.get("ContainerArguments") or []
        if not (arguments or algorithm.get("ContainerEntrypoint")):
            arguments = ["train"]
        return self.in_container(algorithm["TrainingImage"], algorithm, arguments, "training")

    def run(self, container: Container, command: list[str], environment: dict[str, str]) -> str:
        self._enter("Downloading", announce=True)
        self._prepare(container)
        self._enter("Training", announce=True)
        own = {"TRAINING_JOB_NAME": self.name, "TRAINING_JOB_ARN": self.arn}
        container.start(
            command,
            {**environment, **(self.request.get("Environment") or {}), **own, **self.execution_role.environment()},
        )
        self._ended = self.watch(container, work_seconds(self._limit_seconds), self._read)
        if self._abandoned:
            return "Stopped"
        if self._ended.exit_code and not (self._ended.stopped or self._ended.exceeded):
            self._upload_output(container)
            raise JobFailed(f"AlgorithmError: {container.read('output/failure')}, exit code: {self._ended.exit_code}")
        self._upload(container)
        return "Stopped" if self._ended.stopped or self._ended.exceeded else "Completed"

    @property
    def _limit_seconds(self) -> float:
        condition = self.request.get("StoppingCondition") or {}
        return float(condition.get("MaxRuntimeInSeconds", DEFAULT_RUNTIME_SECONDS))

    @property
    def _output(self) -> str:
        return f"{self.request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{self.name}/output"

    def _prepare(self, container: Container) -> None:
        channels = {}
        for channel in self.request.get("InputDataConfig") or []:
            source = channel["DataSource"]["S3DataSource"]
            folder = container.folder / "input/data" / channel["ChannelName"]
            folder.mkdir()
            if not objects.download(self.execution_role.s3, source["S3Uri"], folder):
                raise JobFailed(_nothing_there(source["S3Uri"], self.request["RoleArn"]))
            channels[channel["ChannelName"]] = {
                "TrainingInputMode": "File",
                "S3DistributionType": "FullyReplicated",
                "RecordWrapperType": "None",
                **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
            }
        resources = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "lo"}
        resources["current_instance_type"] = self.request["ResourceConfig"]["InstanceType"]
        _write(container, "hyperparameters", self.request.get("HyperParameters") or {})
        _write(container, "inputdataconfig", channels)
        _write(container, "resourceconfig", resources)

    def _read(self, lines: list[str]) -> None:
        if lines:
            self._log.write(lines)
            found = self.metrics.read(lines)
            if found and self.execution_role.may_measure(NAMESPACE):
                publish_training(self.account.account, self.account.region, self.name, found)

    def _upload(self, container: Container) -> None:
        self._enter("Uploading", announce=True)
        model = container.folder / "model"
        if any(model.iterdir()) or self._ended == ExitStatus(0):
            self.artifact = f"{self._output}/model.tar.gz"
            self._pack_and_upload(model, container.folder / "model.tar.gz", self.artifact)
        self._upload_output(container)

    def _upload_output(self, container: Container) -> None:
        data = container.folder / "output/data"
        if any(data.iterdir()):
            self._pack_and_upload(data, container.folder / "output.tar.gz", f"{self._output}/output.tar.gz")

    def _pack_and_upload(self, folder: Path, archive: Path, uri: str) -> None:
        objects.pack(folder, archive)
        objects.upload(self.execution_role.s3, archive, uri)

    def _finish(self, status: str) -> None:
        exceeded = self._ended is not None and self._ended.exceeded and status == "Stopped"
        self._enter("MaxRuntimeExceeded" if exceeded else status, at=self.ended)

    def _enter(self, secondary: str, *, announce: bool = False, at: datetime.datetime | None = None) -> None:
        final = secondary in ("Completed", "Failed", "Stopped", "MaxRuntimeExceeded")
        moment = at or now()
        with self._entering:
            if self.secondary == "Stopping" and not final:
                return  # the job's own thread goes on for a moment after StopTrainingJob
            if self.transitions:
                self.transitions[-1]["EndTime"] = moment
            message = self.failure_reason or _MESSAGES[secondary]
            step = {"Status": secondary, "StartTime": moment, "StatusMessage": message}
            self.transitions.append({**step, "EndTime": moment} if final else step)
            self.secondary = secondary
        if announce:
            self.announce()


def _nothing_there(uri: str, role: str) -> str:
    bucket = objects.split(uri)[0]
    return (
        f'ClientError: Data download failed: No S3 objects found under S3 URL "{uri}" given in input data source. '
        f"Please ensure that the bucket exists in the selected region ({context.current().region}), that objects exist "
        f'under that S3 prefix, and that the role "{role}" has "s3:ListBucket" permissions on bucket "{bucket}".'
    )


def _write(container: Container, name: str, content: Any) -> None:
    (container.folder / "input/config" / f"{name}.json").write_text(json.dumps(content))
