"""Processing jobs: inputs from S3, the container's `prepare` or `evaluate`, outputs back to S3."""

from __future__ import annotations

import json
from typing import Any

from twin.sagemaker import limits, listing, objects
from twin.sagemaker.account import Account, Request
from twin.sagemaker.container import Container, work_seconds
from twin.sagemaker.errors import JobFailed, in_use, invalid, not_found, unsupported
from twin.sagemaker.job import REASON_LENGTH_MAX, Job, unfinished
from twin.sagemaker.output import LogStream

LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
DEFAULT_RUNTIME_SECONDS = 86_400
_SUMMARY = """ProcessingJobName ProcessingJobArn CreationTime ProcessingEndTime LastModifiedTime ProcessingJobStatus
    FailureReason ExitMessage"""
_ROOT = "/opt/ml/processing/"


def check(request: Request) -> None:
    """Raise Refused for a request that AWS refuses or the twin does not support."""
    if request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] != 1:
        raise unsupported("processing on more than one instance")
    inputs = request.get("ProcessingInputs") or []
    outputs = (request.get("ProcessingOutputConfig") or {}).get("Outputs") or []
    if any("S3Input" not in item for item in inputs) or any("S3Output" not in item for item in outputs):
        raise unsupported("inputs and outputs of processing jobs outside of S3")
    for side, names in (
        ("ProcessingInputs", [item["InputName"] for item in inputs]),
        ("ProcessingOutputConfig", [item["OutputName"] for item in outputs]),
    ):
        if len(set(names)) != len(names):
            raise invalid(f"Names must be unique within {side}.")
    for source in (item["S3Input"] for item in inputs):
        _check_input(source)
    for target in (item["S3Output"] for item in outputs):
        _check_path(target.get("LocalPath"), target["S3Uri"])


def _check_input(source: dict[str, Any]) -> None:
    if source.get("S3DataType") != "S3Prefix":
        raise unsupported(f"the S3DataType {source.get('S3DataType')}; use S3Prefix")
    if source.get("S3InputMode", "File") != "File":
        raise unsupported("the input mode Pipe; use File")
    _check_path(source.get("LocalPath"), source["S3Uri"])


def _check_path(path: str | None, uri: str) -> None:
    if not (path or "").startswith(_ROOT) or ".." in (path or ""):
        raise invalid(f"LocalPath must begin with {_ROOT} and stay there, and is {path!r}.")
    if not uri.startswith("s3://"):
        raise invalid(f"S3Uri must begin with s3://, and is {uri!r}.")


class ProcessingJob(Job):
    """One processing job."""

    kind = "Processing Job"

    def __init__(self, account: Account, request: Request) -> None:
        name = request["ProcessingJobName"]
        super().__init__(account, name, account.arn("processing-job", name), request)
        self.exit_message: str | None = None
        stream = f"{name}/algo-1-{int(self.created.timestamp())}"
        self._log = LogStream(account.account, account.region, LOG_GROUP, stream, self.execution_role)

    def describe(self) -> dict[str, Any]:
        """DescribeProcessingJob."""
        return {
            **self.request,
            "ProcessingJobArn": self.arn,
            "ProcessingJobStatus": self.status,
            "ExitMessage": self.exit_message,
            "FailureReason": self.failure_reason,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "ProcessingStartTime": self.started,
            "ProcessingEndTime": self.ended if self.finished and self.started else None,
        }

    def _work(self) -> str:
        specification = self.request["AppSpecification"]
        arguments = specification.get("ContainerArguments") or []
        return self.in_container(specification["ImageUri"], specification, arguments, "processing")

    def run(self, container: Container, command: list[str], environment: dict[str, str]) -> str:
        self._prepare(container)
        own = {"PROCESSING_JOB_NAME": self.name, "PROCESSING_JOB_ARN": self.arn}
        container.start(
            command,
            {**environment, **(self.request.get("Environment") or {}), **own, **self.execution_role.environment()},
        )
        seconds = (self.request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", DEFAULT_RUNTIME_SECONDS)
        ended = self.watch(container, work_seconds(seconds), self._log.write)
        if self._abandoned:
            return "Stopped"
        self.exit_message = container.read("output/message", REASON_LENGTH_MAX) or None
        if ended.exceeded:
            raise JobFailed("ClientError: Please use larger MaxRuntimeInSeconds: the processing job ran into its limit")
        if ended.stopped:
            return "Stopped"
        if ended.exit_code:
            raise JobFailed(f"AlgorithmError: See job logs for more information, exit code: {ended.exit_code}")
        self._upload(container)
        return "Completed"

    def _prepare(self, container: Container) -> None:
        for item in self.request.get("ProcessingInputs") or []:
            source = item["S3Input"]
            folder = container.path(source["LocalPath"])
            folder.mkdir(parents=True, exist_ok=True)
            if not objects.download(self.execution_role.s3, source["S3Uri"], folder):
                raise JobFailed(
                    f"ClientError: No S3 objects found under {source['S3Uri']} of input {item['InputName']}."
                )
        for item in self._outputs():
            container.make_writable(container.path(item["S3Output"]["LocalPath"]))
        resources = {"current_host": "algo-1", "hosts": ["algo-1"]}
        (container.folder / "config/resourceconfig.json").write_text(json.dumps(resources))
        (container.folder / "config/processingjobconfig.json").write_text(json.dumps(self.request))

    def _upload(self, container: Container) -> None:
        for item in self._outputs():
            target = item["S3Output"]
            objects.upload_folder(self.execution_role.s3, container.path(target["LocalPath"]), target["S3Uri"])

    def _outputs(self) -> list[dict[str, Any]]:
        outputs: list[dict[str, Any]] = (self.request.get("ProcessingOutputConfig") or {}).get("Outputs") or []
        return outputs


def create_processing_job(account: Account, request: Request) -> dict[str, Any]:
    check(request)
    running = [_instance_type(job.request) for job in unfinished(account, ProcessingJob)]
    limits.check(account, "processing job", _instance_type(request), running)
    job = ProcessingJob(account, request)
    taken = in_use(
        f"Job name must be unique within an AWS account and region, and a job with this name already exists ({job.arn})"
    )
    account.put(job, taken)
    job.launch()
    return {"ProcessingJobArn": job.arn}


def _instance_type(request: Request) -> str:
    return str(request["ProcessingResources"]["ClusterConfig"]["InstanceType"])


def describe_processing_job(account: Account, request: Request) -> dict[str, Any]:
    return _find(account, request).describe()


def stop_processing_job(account: Account, request: Request) -> dict[str, Any]:
    return _find(account, request).stop_call("processing")


def list_processing_jobs(account: Account, request: Request) -> dict[str, Any]:
    jobs = account.all(ProcessingJob)
    return listing.page("ProcessingJobSummaries", jobs, listing.fields(_SUMMARY), request, "ProcessingJobStatus")


def _find(account: Account, request: Request) -> ProcessingJob:
    name = request["ProcessingJobName"]
    return account.find(ProcessingJob, name, not_found(f"Could not find requested job with name: {name}"))
