"""The API calls about training jobs, and the checks of a request beyond its shape."""

from __future__ import annotations

from typing import Any

from twin.sagemaker import limits, listing
from twin.sagemaker.account import Account, Request
from twin.sagemaker.errors import in_use, invalid, unsupported
from twin.sagemaker.job import unfinished
from twin.sagemaker.training import TrainingJob

_SUMMARY = """TrainingJobName TrainingJobArn CreationTime TrainingEndTime LastModifiedTime TrainingJobStatus
    SecondaryStatus"""
_UNSUPPORTED = {
    "ServerlessJobConfig": "serverless training jobs",
    "SessionChainingConfig": "session chaining",
    "ModelPackageConfig": "training into a model package",
    "CheckpointConfig": "checkpoints",
    "EnableManagedSpotTraining": "spot instances",
}


def check(request: Request) -> None:
    """Raise Refused for a request that AWS refuses or the twin does not support."""
    for field, name in _UNSUPPORTED.items():
        if request.get(field):
            raise unsupported(name)
    check_algorithm(request.get("AlgorithmSpecification"))
    check_resources(request.get("ResourceConfig"))
    check_channels(request.get("InputDataConfig") or [])
    check_output(request["OutputDataConfig"])
    if "MaxWaitTimeInSeconds" in (request.get("StoppingCondition") or {}):
        raise invalid("MaxWaitTimeInSeconds may only be given with EnableManagedSpotTraining.")


def check_algorithm(algorithm: dict[str, Any] | None) -> None:
    """A training image with files as input; no Marketplace algorithm, no Pipe mode."""
    if not algorithm:
        raise invalid("AlgorithmSpecification is required.")
    if algorithm.get("AlgorithmName"):
        raise unsupported("algorithms of the AWS Marketplace")
    if not algorithm.get("TrainingImage"):
        raise invalid("Either TrainingImage or AlgorithmName must be specified in AlgorithmSpecification.")
    if algorithm["TrainingInputMode"] == "Pipe":
        raise unsupported("the input mode Pipe; use File")
    names = [item["Name"] for item in algorithm.get("MetricDefinitions") or []]
    if len(set(names)) != len(names):
        raise invalid("Metric names in MetricDefinitions must be unique.")


def check_resources(resources: dict[str, Any] | None) -> None:
    """One instance, of a type and with a volume."""
    if not resources or not resources.get("InstanceType"):
        raise invalid("ResourceConfig must name an InstanceType.")
    if not resources.get("VolumeSizeInGB"):
        raise invalid("ResourceConfig must give VolumeSizeInGB of at least 1.")
    if resources.get("InstanceCount", 1) != 1 or resources.get("InstanceGroups"):
        raise unsupported("training on more than one instance")


def check_channels(channels: list[dict[str, Any]]) -> None:
    """Names once, data from S3 prefixes."""
    names = [channel["ChannelName"] for channel in channels]
    if len(set(names)) != len(names):
        raise invalid("Channel names must be unique within InputDataConfig.")
    for channel in channels:
        source = channel["DataSource"].get("S3DataSource")
        if source is None:
            raise unsupported("channels from anything but S3")
        if source["S3DataType"] != "S3Prefix":
            raise unsupported(f"the S3DataType {source['S3DataType']}; use S3Prefix")
        if channel.get("InputMode") == "Pipe":
            raise unsupported("the input mode Pipe; use File")
        if not source["S3Uri"].startswith("s3://"):
            raise invalid(f"The S3Uri of channel {channel['ChannelName']} must begin with s3://.")


def check_output(output: dict[str, Any]) -> None:
    """Results go to S3, as one archive."""
    if not output["S3OutputPath"].startswith("s3://"):
        raise invalid("S3OutputPath must begin with s3://.")
    if output.get("CompressionType") == "NONE":
        raise unsupported("the CompressionType NONE; use GZIP")


def create_training_job(account: Account, request: Request) -> dict[str, Any]:
    check(request)
    return {"TrainingJobArn": launch_training(account, request).arn}


def launch_training(account: Account, request: Request, tuning: str | None = None) -> TrainingJob:
    """Start a training job that was checked; Refused when its name is taken or the account's quota is used up."""
    running = [job.request["ResourceConfig"]["InstanceType"] for job in unfinished(account, TrainingJob)]
    limits.check(account, "training job", request["ResourceConfig"]["InstanceType"], running)
    job = TrainingJob(account, request, tuning)
    taken = in_use(
        "Training job names must be unique within an AWS account and region, and a training job with this name "
        f"already exists ({job.arn})"
    )
    account.put(job, taken)
    job.launch()
    return job


def describe_training_job(account: Account, request: Request) -> dict[str, Any]:
    return _find(account, request).describe()


def stop_training_job(account: Account, request: Request) -> dict[str, Any]:
    return _find(account, request).stop_call("training")


def list_training_jobs(account: Account, request: Request) -> dict[str, Any]:
    jobs = account.all(TrainingJob)
    return listing.page("TrainingJobSummaries", jobs, listing.fields(_SUMMARY), request, "TrainingJobStatus")


def _find(account: Account, request: Request) -> TrainingJob:
    return account.find(TrainingJob, request["TrainingJobName"], invalid("Requested resource not found."))
